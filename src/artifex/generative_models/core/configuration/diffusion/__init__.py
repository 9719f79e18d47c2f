"""Configs of diffusion and flow-matching models."""

from artifex.generative_models.core.configuration.diffusion.paths import (
    CosinePathConfig,
    DDPMPathConfig,
    EDMPathConfig,
    LinearPathConfig,
    PathConfig,
    SigmoidPathConfig,
    SubVPPathConfig,
    TrigonometricPathConfig,
    VEPathConfig,
    VPPathConfig,
)
from artifex.generative_models.core.configuration.diffusion.predictions import (
    DataPredictionConfig,
    EDMPredictionConfig,
    NoisePredictionConfig,
    PredictionConfig,
    ScorePredictionConfig,
    VelocityPredictionConfig,
    VPredictionConfig,
)
from artifex.generative_models.core.configuration.diffusion.spacings import (
    KarrasSpacingConfig,
    LeadingSpacingConfig,
    LogSNRSpacingConfig,
    PowerSpacingConfig,
    SpacingConfig,
    TrailingSpacingConfig,
    UniformSpacingConfig,
)
