"""Configs of the variational autoencoders: one file for each kind of latent variable."""

from artifex.generative_models.core.configuration.vae.gaussian import VAEConfig
from artifex.generative_models.core.configuration.vae.hierarchical import (
    BottomUpInferenceConfig,
    HierarchicalInferenceConfig,
    HierarchicalVAEConfig,
    LadderInferenceConfig,
)
from artifex.generative_models.core.configuration.vae.kl import AutoencoderKLConfig
from artifex.generative_models.core.configuration.vae.objectives import (
    CapacityConfig,
    ElboConfig,
    ImportanceWeightedConfig,
    MMDConfig,
    TotalCorrelationConfig,
    VAEObjectiveConfig,
)
from artifex.generative_models.core.configuration.vae.posteriors import (
    FlowPosteriorConfig,
    NormalPosteriorConfig,
    PosteriorConfig,
)
from artifex.generative_models.core.configuration.vae.priors import (
    FlowPriorConfig,
    GaussianMixturePriorConfig,
    PriorConfig,
    StandardNormalPriorConfig,
    VampPriorConfig,
)
