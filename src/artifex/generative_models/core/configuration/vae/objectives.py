"""Configs of training objectives of a VAE."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import (
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)
from artifex.generative_models.core.configuration.schedules import (
    ConstantScheduleConfig,
    LinearScheduleConfig,
    ScheduleConfig,
)


@config()
class VAEObjectiveConfig(Config):
    """What training of a VAE minimises."""

    # Whether the model's `kl_weight` is part of the objective.
    uses_kl_weight: ClassVar[bool] = False


@config("elbo")
class ElboConfig(VAEObjectiveConfig):
    """Reconstruction plus `kl_weight` times KL: the negative ELBO where the weight is 1, else a beta-VAE."""

    uses_kl_weight: ClassVar[bool] = True


@config("capacity")
class CapacityConfig(VAEObjectiveConfig):
    """Reconstruction plus `weight * |KL - capacity|` (Burgess et al. 2018, arXiv:1804.03599).

    Attributes:
        capacity: the KL that is asked for, in nats, by training step.
        weight: how strictly.
    """

    capacity: ScheduleConfig = LinearScheduleConfig(start=0.0, end=20.0, num_steps=5000)
    weight: PositiveFloat = 100.0


@config("importance_weighted")
class ImportanceWeightedConfig(VAEObjectiveConfig):
    """The importance-weighted bound (Burda et al. 2016, arXiv:1509.00519, equation 8).

    Attributes:
        num_samples: latents for each example; 1 gives the ELBO by sampling.
        estimator: "iwae": the bound's own gradient; "dreg": the encoder's by double reparameterisation, whose
            noise does not drown the signal as `num_samples` grows (Tucker et al. 2019, arXiv:1810.04152).
    """

    num_samples: PositiveInt = 8
    estimator: Literal["iwae", "dreg"] = "iwae"


@config("total_correlation")
class TotalCorrelationConfig(VAEObjectiveConfig):
    """Beta-TC-VAE: the KL in three parts with weights of their own (Chen et al. 2018, arXiv:1802.04942, eq. 4).

    Attributes:
        dataset_size: number of training examples; the estimate of the aggregate posterior depends on it.
        mutual_information_weight: weight of the information between examples and latents.
        total_correlation_weight: weight of the dependence of the latents on each other: beta.
        dimension_wise_weight: weight of each latent's own divergence from the prior.
        estimator: "weighted": minibatch-weighted sampling, biased; "stratified": minibatch-stratified sampling,
            unbiased for the aggregate posterior.
    """

    dataset_size: PositiveInt
    mutual_information_weight: NonNegativeFloat = 1.0
    total_correlation_weight: NonNegativeFloat = 6.0
    dimension_wise_weight: NonNegativeFloat = 1.0
    estimator: Literal["weighted", "stratified"] = "weighted"


@config("mmd")
class MMDConfig(VAEObjectiveConfig):
    """WAE-MMD: reconstruction plus the MMD of posterior samples to prior samples (arXiv:1711.01558, algorithm 2).

    Attributes:
        weight: weight of the squared MMD.
        kernel_scales: the kernel is the mean of `c / (c + |x - y|^2)` over `c = 2 * latent_size * scale`.
    """

    weight: PositiveFloat = 100.0
    kernel_scales: Annotated[tuple[PositiveFloat, ...], Field(strict=False, min_length=1)] = (
        0.1,
        0.2,
        0.5,
        1.0,
        2.0,
        5.0,
        10.0,
    )


def check_objective_weights(objective: VAEObjectiveConfig, kl_weight: ScheduleConfig) -> None:
    """Raise unless the KL weight has a meaning for the objective, and all schedules say their own length.

    Raises:
        ValueError: with the fix.
    """
    if not objective.uses_kl_weight and kl_weight != ConstantScheduleConfig(value=1.0):
        raise ValueError(
            f"`kl_weight` is no part of the objective {objective.kind!r}, so it must stay 1; "
            "leave it out, or use the objective 'elbo'"
        )
    _check_length("kl_weight", kl_weight)
    if isinstance(objective, CapacityConfig):
        _check_length("objective.capacity", objective.capacity)


def _check_length(name: str, schedule: ScheduleConfig) -> None:
    if getattr(schedule, "num_steps", 1) is None:
        raise ValueError(f"`{name}.num_steps` must be given: a model does not know how long it is trained")
