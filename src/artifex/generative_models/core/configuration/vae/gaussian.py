"""Config of the VAE with one vector of Gaussian latents."""

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.fields import PositiveInt
from artifex.generative_models.core.configuration.likelihoods import BernoulliConfig, LikelihoodConfig
from artifex.generative_models.core.configuration.models import ModelConfig
from artifex.generative_models.core.configuration.networks import (
    DecoderConfig,
    EncoderConfig,
    MLPDecoderConfig,
    MLPEncoderConfig,
)
from artifex.generative_models.core.configuration.schedules import ConstantScheduleConfig, ScheduleConfig
from artifex.generative_models.core.configuration.vae.objectives import (
    CapacityConfig,
    ElboConfig,
    TotalCorrelationConfig,
    VAEObjectiveConfig,
)
from artifex.generative_models.core.configuration.vae.priors import PriorConfig, StandardNormalPriorConfig


@config("vae")
class VAEConfig(ModelConfig):
    """Variational autoencoder with one vector of Gaussian latents.

    Attributes:
        latent_size: number of latents.
        encoder: network from an example to the means and scales of its latents.
        decoder: network from latents to the parameters of the likelihood.
        likelihood: distribution of an example around what the decoder puts out.
        prior: distribution of the latents.
        kl_weight: weight of the KL in the objective "elbo", by training step: a number, a warm-up or cycles.
        objective: what training minimises.
        log_prob_samples: importance samples behind `log_prob`.
    """

    latent_size: PositiveInt = 8
    encoder: EncoderConfig = MLPEncoderConfig()
    decoder: DecoderConfig = MLPDecoderConfig()
    likelihood: LikelihoodConfig = BernoulliConfig()
    prior: PriorConfig = StandardNormalPriorConfig()
    kl_weight: ScheduleConfig = ConstantScheduleConfig(value=1.0)
    objective: VAEObjectiveConfig = ElboConfig()
    log_prob_samples: PositiveInt = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.objective.uses_kl_weight and self.kl_weight != ConstantScheduleConfig(value=1.0):
            raise ValueError(
                f"`kl_weight` is no part of the objective {self.objective.kind!r}, so it must stay 1; "
                "leave it out, or use the objective 'elbo'"
            )
        _check_length("kl_weight", self.kl_weight)
        if isinstance(self.objective, CapacityConfig):
            _check_length("objective.capacity", self.objective.capacity)
        is_factorised = isinstance(self.prior, StandardNormalPriorConfig)
        if isinstance(self.objective, TotalCorrelationConfig) and not is_factorised:
            raise ValueError(
                "the objective 'total_correlation' splits the KL by latent, which needs the prior "
                f"'standard_normal'; got {self.prior.kind!r}"
            )


def _check_length(name: str, schedule: ScheduleConfig) -> None:
    if getattr(schedule, "num_steps", 1) is None:
        raise ValueError(f"`{name}.num_steps` must be given: a model does not know how long it is trained")
