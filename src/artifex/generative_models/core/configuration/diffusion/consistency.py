"""Configs of consistency models: one step from noise to data."""

from typing import Literal

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.diffusion.levels import LevelConfig, TimeLevelConfig
from artifex.generative_models.core.configuration.diffusion.models import DiffusionConfig
from artifex.generative_models.core.configuration.diffusion.networks import DenoiserConfig, MLPDenoiserConfig
from artifex.generative_models.core.configuration.diffusion.paths import PathConfig, TrigonometricPathConfig
from artifex.generative_models.core.configuration.diffusion.predictions import (
    EDMPredictionConfig,
    PredictionConfig,
    VPredictionConfig,
)
from artifex.generative_models.core.configuration.diffusion.samplers import (
    ConsistencySamplerConfig,
    SamplerConfig,
)
from artifex.generative_models.core.configuration.diffusion.spacings import (
    SpacingConfig,
    UniformSpacingConfig,
)
from artifex.generative_models.core.configuration.diffusion.training import (
    LogNormalSigmaTimesConfig,
    TimeDistributionConfig,
)
from artifex.generative_models.core.configuration.diffusion.variance import LearnedRangeVarianceConfig
from artifex.generative_models.core.configuration.fields import NonNegativeFloat, PositiveFloat, PositiveInt
from artifex.generative_models.core.configuration.models import ModelConfig
from artifex.generative_models.core.configuration.schedules import (
    ExponentialScheduleConfig,
    LinearScheduleConfig,
    ScheduleConfig,
)


@config()
class ConsistencyObjectiveConfig(Config):
    """How the outputs along a trajectory are made equal."""


@config("discrete")
class DiscreteConsistencyConfig(ConsistencyObjectiveConfig):
    """Outputs at two times, the later one following the earlier (Song & Dhariwal 2024, arXiv:2310.14189).

    Attributes:
        gap: distance of the two, as part of the later time: 1 compares with the data, and then it shall shrink
            (Geng et al. 2024, arXiv:2406.14548).
        huber: where the loss turns from the squared to the plain distance, in units of the root of the event's size.
            Small numbers (0.00054 in the paper) bear outliers; but then, without a teacher, what is learned is nearer
            the median of what may follow than its mean, and common examples become more common.
        solver: how the earlier example follows from a teacher: in one evaluation, or in two, of second order.
    """

    gap: ScheduleConfig = ExponentialScheduleConfig(start=1.0, decay_rate=0.5, decay_steps=500, end=1 / 64)
    huber: PositiveFloat = 0.1
    solver: Literal["ddim", "heun"] = "heun"


@config("continuous")
class ContinuousConsistencyConfig(ConsistencyObjectiveConfig):
    """The derivative along the trajectory, sCM (Lu & Song 2025, arXiv:2410.11081, algorithm 1).

    Attributes:
        warmup: factor r of the part of the tangent that holds the network's derivative.
        normalization: c of the tangent g / (|g| + c), with |g| its root mean square; null: as it is.
    """

    warmup: ScheduleConfig = LinearScheduleConfig(num_steps=1000)
    normalization: NonNegativeFloat | None = 0.1


@config("consistency")
class ConsistencyConfig(ModelConfig):
    """A network that leads from any point of a trajectory of the probability-flow ODE to the data at its end.

    By default in the TrigFlow form. Without a teacher it is trained from data alone.

    Attributes:
        network: what predicts.
        path: how data turn into noise.
        prediction: what the network's output means: `v` or `edm`, whose estimate of the data is exact at t = 0.
        level: how the network is told the time.
        times: where on the path training examples lie.
        objective: the loss.
        teacher: the diffusion model whose ODE is distilled, with its guidance; it is trained first. Where its network,
            path, prediction and level are the same, the network starts from its weights.
        sampler: `consistency`.
        spacing: where the stops of sampling lie.
        num_sampling_steps: how many jumps there are.
    """

    network: DenoiserConfig = MLPDenoiserConfig()
    path: PathConfig = TrigonometricPathConfig()
    prediction: PredictionConfig = EDMPredictionConfig()
    level: LevelConfig = TimeLevelConfig()
    times: TimeDistributionConfig = LogNormalSigmaTimesConfig(mean=-1.0, std=1.4)
    objective: ConsistencyObjectiveConfig = DiscreteConsistencyConfig()
    teacher: DiffusionConfig | None = None
    sampler: SamplerConfig = ConsistencySamplerConfig()
    spacing: SpacingConfig = UniformSpacingConfig()
    num_sampling_steps: PositiveInt = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.prediction, VPredictionConfig | EDMPredictionConfig):
            raise ValueError(
                f"`prediction` must be `v` or `edm`, with which a consistency model keeps data at t = 0 as they are; "
                f"got `{self.prediction.kind}`"
            )
        if not isinstance(self.sampler, ConsistencySamplerConfig):
            raise ValueError(
                f"`sampler` of a consistency model must be `consistency`, as it does not say the direction of the ODE; "
                f"got `{self.sampler.kind}`"
            )
        for name in ("event_shape", "num_classes", "condition_shape"):
            if self.teacher is not None and getattr(self.teacher, name) != getattr(self, name):
                raise ValueError(
                    f"`teacher` must have the model's `{name}`, {getattr(self, name)}; got "
                    f"{getattr(self.teacher, name)}"
                )

    @property
    def pretrained_part(self) -> DiffusionConfig | None:
        """The teacher."""
        return self.teacher

    @property
    def starts_from_teacher(self) -> bool:
        """Whether the network and what it is told are the teacher's."""
        if self.teacher is None or self.teacher.has_self_conditioning:
            return False
        has_more_outputs = isinstance(self.teacher.variance, LearnedRangeVarianceConfig)
        names = ("network", "path", "prediction", "level")
        return not has_more_outputs and all(
            getattr(self, name) == getattr(self.teacher, name) for name in names
        )
