"""Config of the VAE with several layers of Gaussian latents, and of its inference networks."""

from typing import Annotated

from pydantic import Field

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import PositiveInt, Sizes
from artifex.generative_models.core.configuration.likelihoods import BernoulliConfig, LikelihoodConfig
from artifex.generative_models.core.configuration.models import ModelConfig
from artifex.generative_models.core.configuration.networks import (
    Activation,
    DecoderConfig,
    EncoderConfig,
    MLPDecoderConfig,
    MLPEncoderConfig,
)
from artifex.generative_models.core.configuration.schedules import ConstantScheduleConfig, ScheduleConfig
from artifex.generative_models.core.configuration.vae.objectives import (
    CapacityConfig,
    ElboConfig,
    ImportanceWeightedConfig,
    VAEObjectiveConfig,
    check_objective_weights,
)


@config()
class HierarchicalInferenceConfig(Config):
    """How the posterior of several layers of latents is built."""


@config("ladder")
class LadderInferenceConfig(HierarchicalInferenceConfig):
    """Deterministic features upwards, latents downwards, where each posterior is the normalised product of the
    prior, given the layer above, and what the features say (Soenderby et al. 2016, arXiv:1602.02282).

    Attributes:
        feature_size: length of the features of each layer.
    """

    feature_size: PositiveInt = 128


@config("bottom_up")
class BottomUpInferenceConfig(HierarchicalInferenceConfig):
    """Latents upwards, each layer from the one below (Burda et al. 2016, arXiv:1509.00519, equation 7)."""


@config("hierarchical_vae")
class HierarchicalVAEConfig(ModelConfig):
    """Variational autoencoder with several layers of Gaussian latents: p(z_L) p(z_L-1|z_L) ... p(z_1|z_2) p(x|z_1).

    Attributes:
        latent_sizes: latents of each layer, from z_1, which the decoder sees, up to z_L; two layers at least.
        encoder: network from an example to the first layer of the inference.
        decoder: network from z_1 to the parameters of the likelihood.
        hidden_sizes: widths of the hidden layers of each network between neighbouring layers, either way.
        activation: nonlinearity of these networks.
        inference: how the posterior is built.
        likelihood: distribution of an example around what the decoder puts out.
        kl_weight: weight of the KL in the objective "elbo", by training step: a number, a warm-up or cycles.
        objective: what training minimises: "elbo", "capacity" or "importance_weighted".
        log_prob_samples: importance samples behind `log_prob`.
    """

    latent_sizes: Annotated[Sizes, Field(min_length=2)] = (16, 8)
    encoder: EncoderConfig = MLPEncoderConfig()
    decoder: DecoderConfig = MLPDecoderConfig()
    hidden_sizes: Sizes = (128,)
    activation: Activation = "gelu"
    inference: HierarchicalInferenceConfig = LadderInferenceConfig()
    likelihood: LikelihoodConfig = BernoulliConfig()
    kl_weight: ScheduleConfig = ConstantScheduleConfig(value=1.0)
    objective: VAEObjectiveConfig = ElboConfig()
    log_prob_samples: PositiveInt = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        check_objective_weights(self.objective, self.kl_weight)
        if not isinstance(self.objective, ElboConfig | CapacityConfig | ImportanceWeightedConfig):
            raise ValueError(
                f"the objective {self.objective.kind!r} needs one vector of latents: use it with the model 'vae', "
                "or take 'elbo', 'capacity' or 'importance_weighted'"
            )
        if isinstance(self.objective, ImportanceWeightedConfig) and self.objective.estimator != "iwae":
            raise ValueError(
                f"the estimator {self.objective.estimator!r} needs one layer of latents: use it with the model "
                "'vae', or take 'iwae'"
            )
