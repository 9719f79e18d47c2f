"""Diffusion and flow matching. Importing the family registers the builders of all its configs."""

from artifex.generative_models.models.diffusion.classifier import NoisyClassifier
from artifex.generative_models.models.diffusion.consistency import ConsistencyModel
from artifex.generative_models.models.diffusion.interpolant import StochasticInterpolant
from artifex.generative_models.models.diffusion.latent import LatentDiffusion
from artifex.generative_models.models.diffusion.latent_space import LatentSpace
from artifex.generative_models.models.diffusion.mean_flow import MeanFlow
from artifex.generative_models.models.diffusion.model import GaussianDiffusion
from artifex.generative_models.models.diffusion.paths import AbstractPath, make_path
from artifex.generative_models.models.diffusion.predictions import AbstractPrediction, make_prediction
from artifex.generative_models.models.diffusion.reflow import reflow_pairs
from artifex.generative_models.models.diffusion.tokens import TokenDiffusion
