"""Gaussian paths from data to noise, built from their configs by `make_path`."""

from artifex.generative_models.models.diffusion.paths.base import MAX_LOG_SNR, AbstractPath, make_path
from artifex.generative_models.models.diffusion.paths.ddpm import DDPMPath, alphas_squared
from artifex.generative_models.models.diffusion.paths.linear import LinearPath
from artifex.generative_models.models.diffusion.paths.variance_exploding import EDMPath, VEPath
from artifex.generative_models.models.diffusion.paths.variance_preserving import (
    CosinePath,
    SigmoidPath,
    SubVPPath,
    VPPath,
)
