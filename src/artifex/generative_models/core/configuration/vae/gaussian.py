"""Config of the VAE with one vector of latents."""

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
    ElboConfig,
    TotalCorrelationConfig,
    VAEObjectiveConfig,
    check_objective_weights,
)
from artifex.generative_models.core.configuration.vae.posteriors import (
    FlowPosteriorConfig,
    NormalPosteriorConfig,
    PosteriorConfig,
)
from artifex.generative_models.core.configuration.vae.priors import (
    PriorConfig,
    StandardNormalPriorConfig,
    VampPriorConfig,
)


@config("vae")
class VAEConfig(ModelConfig):
    """Variational autoencoder with one vector of latents.

    Attributes:
        latent_size: number of latents.
        encoder: network from an example to the parameters of its posterior: means and scales of latents, and what a
            flow depends on.
        decoder: network from latents to the parameters of the likelihood.
        likelihood: distribution of an example around what the decoder puts out.
        posterior: family of distributions of the latents given an example: independent normal, or a flow of such.
        prior: distribution of the latents.
        kl_weight: weight of the KL in the objective "elbo", by training step: a number, a warm-up or cycles.
        objective: what training minimises.
        log_prob_samples: importance samples behind `log_prob`.
    """

    latent_size: PositiveInt = 8
    encoder: EncoderConfig = MLPEncoderConfig()
    decoder: DecoderConfig = MLPDecoderConfig()
    likelihood: LikelihoodConfig = BernoulliConfig()
    posterior: PosteriorConfig = NormalPosteriorConfig()
    prior: PriorConfig = StandardNormalPriorConfig()
    kl_weight: ScheduleConfig = ConstantScheduleConfig(value=1.0)
    objective: VAEObjectiveConfig = ElboConfig()
    log_prob_samples: PositiveInt = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        check_objective_weights(self.objective, self.kl_weight)
        is_factorised = isinstance(self.prior, StandardNormalPriorConfig)
        if isinstance(self.objective, TotalCorrelationConfig) and not is_factorised:
            raise ValueError(
                "the objective 'total_correlation' splits the KL by latent, which needs the prior "
                f"'standard_normal'; got {self.prior.kind!r}"
            )
        if isinstance(self.posterior, FlowPosteriorConfig):
            self._check_flow_posterior()

    def _check_flow_posterior(self) -> None:
        """What takes the means and scales of a normal posterior, or its density at any latents."""
        if isinstance(self.objective, TotalCorrelationConfig):
            raise ValueError(
                "the objective 'total_correlation' takes means and scales of the latents, which the posterior 'flow' "
                "does not have: use the posterior 'normal'"
            )
        if isinstance(self.prior, VampPriorConfig):
            raise ValueError(
                "the prior 'vamp' takes the density of every pseudo-input's posterior at given latents, which the "
                "posterior 'flow' has by its inverse alone: use the posterior 'normal', or the prior 'flow'"
            )
