"""Config of mean flows: average velocities, for one step from noise to data."""

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.diffusion.levels import TimeLevelConfig
from artifex.generative_models.core.configuration.diffusion.networks import DenoiserConfig, MLPDenoiserConfig
from artifex.generative_models.core.configuration.diffusion.spacings import (
    SpacingConfig,
    UniformSpacingConfig,
)
from artifex.generative_models.core.configuration.diffusion.training import (
    LogitNormalTimesConfig,
    TimeDistributionConfig,
)
from artifex.generative_models.core.configuration.fields import (
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    UnitFloat,
)
from artifex.generative_models.core.configuration.models import ModelConfig


@config("mean_flow")
class MeanFlowConfig(ModelConfig):
    """The average velocity between two times on the straight path (Geng et al. 2025, arXiv:2505.13447).

    Attributes:
        network: what predicts.
        level: how the network is told the later time and the length of the interval.
        times: where on the path both times lie, of which the larger is the later one.
        interval_fraction: part of the training examples whose interval has a length; for the others both times are
            the same, which is flow matching.
        adaptive_power: p of the weight (error + epsilon)^-p of an example; 0: none. The larger, the more common do
            common examples become.
        adaptive_epsilon: epsilon there.
        condition_dropout: part of the training examples whose condition is withheld, for guidance.
        guidance_scale: classifier-free guidance of the velocity that is learned: 1 none, more: stronger.
        guidance_mixing: kappa, how much of the guided velocity is the model's own with the condition.
        spacing: where the stops of sampling lie.
        num_sampling_steps: how many steps there are.
    """

    network: DenoiserConfig = MLPDenoiserConfig()
    level: TimeLevelConfig = TimeLevelConfig()
    times: TimeDistributionConfig = LogitNormalTimesConfig(mean=-0.4, std=1.0)
    interval_fraction: UnitFloat = 0.25
    adaptive_power: NonNegativeFloat = 1.0
    adaptive_epsilon: PositiveFloat = 1e-3
    condition_dropout: Fraction = 0.0
    guidance_scale: PositiveFloat = 1.0
    guidance_mixing: Fraction = 0.0
    spacing: SpacingConfig = UniformSpacingConfig()
    num_sampling_steps: PositiveInt = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.condition_size == 0 and self.condition_dropout > 0:
            raise ValueError(
                "`condition_dropout` needs a conditional model: set `num_classes` or `condition_shape`, or leave it 0"
            )
        if (self.guidance_scale != 1 or self.guidance_mixing > 0) and self.condition_dropout == 0:
            raise ValueError(
                "guidance needs a conditional model that also learns without conditions: set `condition_dropout`, such "
                "as 0.1, or leave `guidance_scale` 1 and `guidance_mixing` 0"
            )
