"""Configs of schedules: functions from the training step to a number."""

from collections.abc import Mapping
from typing import Any, ClassVar

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import (
    Floats,
    Fraction,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Sizes,
    UnitFloat,
)


@config()
class ScheduleConfig(Config):
    """A function of the step. A plain number is short for a constant."""

    short_form: ClassVar[Mapping[str, Any] | None] = {"type": "number"}

    @classmethod
    def coerce(cls, value: Any) -> Any:
        """A number becomes a `ConstantScheduleConfig`."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            return ConstantScheduleConfig(value=float(value))
        return value


@config("constant")
class ConstantScheduleConfig(ScheduleConfig):
    """The same value at every step.

    Attributes:
        value: the value.
    """

    value: float = 1.0


@config("linear")
class LinearScheduleConfig(ScheduleConfig):
    """A straight line from `start` to `end`, flat before and after; with start 0 this is a warm-up.

    Attributes:
        start: value up to `delay_steps`.
        end: value from `delay_steps + num_steps` on.
        num_steps: length of the ramp, in steps; None: the length of the training run.
        delay_steps: steps before the ramp begins.
    """

    start: float = 0.0
    end: float = 1.0
    num_steps: PositiveInt | None = None
    delay_steps: NonNegativeInt = 0


@config("cyclical")
class CyclicalScheduleConfig(ScheduleConfig):
    """Repeated linear ramps (Fu et al. 2019, arXiv:1903.10145).

    Attributes:
        start: value at the beginning of each cycle.
        end: value at the end of the ramp, held for the rest of the cycle.
        period_steps: length of one cycle, in steps.
        ramp_fraction: part of a cycle that is spent on the ramp.
        num_cycles: after so many cycles the value stays at `end`; None: cycles for ever.
    """

    start: float = 0.0
    end: float = 1.0
    period_steps: PositiveInt = 1000
    ramp_fraction: UnitFloat = 0.5
    num_cycles: PositiveInt | None = None


@config("warmup_cosine")
class WarmupCosineScheduleConfig(ScheduleConfig):
    """Linear warm-up from 0 to `peak`, then half a cosine down to `end`.

    Attributes:
        peak: value after the warm-up.
        end: value from the end of the run on.
        warmup_fraction: part of the steps that is spent on the warm-up; 0: a plain cosine decay.
        num_steps: length of warm-up and decay together; None: the length of the training run.
    """

    peak: float = 1.0
    end: float = 0.0
    warmup_fraction: Fraction = 0.0
    num_steps: PositiveInt | None = None


@config("exponential")
class ExponentialScheduleConfig(ScheduleConfig):
    """`start * decay_rate ** (step / decay_steps)`, never below `end`.

    Attributes:
        start: value at step 0.
        decay_rate: factor per `decay_steps`.
        decay_steps: steps per factor.
        end: lower limit.
    """

    start: PositiveFloat = 1.0
    decay_rate: PositiveFloat = 0.5
    decay_steps: PositiveInt = 1000
    end: NonNegativeFloat = 0.0


@config("piecewise")
class PiecewiseScheduleConfig(ScheduleConfig):
    """Constant between boundaries.

    Attributes:
        boundaries: steps at which the value changes, rising.
        values: one more value than boundaries.
    """

    boundaries: Sizes = ()
    values: Floats = (1.0,)

    def __post_init__(self) -> None:
        if len(self.values) != len(self.boundaries) + 1:
            raise ValueError(
                f"`values` needs one more entry than `boundaries`; got {len(self.values)} and {len(self.boundaries)}"
            )
        if any(a >= b for a, b in zip(self.boundaries, self.boundaries[1:], strict=False)):
            raise ValueError(f"`boundaries` must rise; got {self.boundaries}")
