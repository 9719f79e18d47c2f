"""Configs of maps of each entry by itself, without trained parameters: from latents on all numbers to an interval."""

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.fields import PositiveFloat
from artifex.generative_models.core.configuration.flow.bijections import BijectionConfig


@config("shift_scale")
class ShiftScaleLayerConfig(BijectionConfig):
    """From x to shift + scale x; `act_norm` is the trained one.

    Attributes:
        shift: what 0 is mapped to.
        scale: of the entries.
    """

    shift: float = 0.0
    scale: PositiveFloat = 1.0


@config("exp")
class ExpLayerConfig(BijectionConfig):
    """From x to exp(x), onto the positive numbers."""


@config("softplus")
class SoftplusLayerConfig(BijectionConfig):
    """From x to log(1 + exp(x)), onto the positive numbers; large ones stay nearly as they are."""


@config("sigmoid")
class SigmoidLayerConfig(BijectionConfig):
    """From x to 1 / (1 + exp(-x)), onto (0, 1)."""


@config("logit")
class LogitLayerConfig(BijectionConfig):
    """From x in (0, 1) to log(x / (1 - x))."""


@config("tanh")
class TanhLayerConfig(BijectionConfig):
    """From x to tanh(x), onto (-1, 1)."""


@config("leaky_tanh")
class LeakyTanhLayerConfig(BijectionConfig):
    """From x to tanh(x) up to a limit, to its tangents beyond: onto all numbers.

    Attributes:
        limit: where the tangents begin.
    """

    limit: PositiveFloat = 3.0


@config("leaky_relu")
class LeakyReLULayerConfig(BijectionConfig):
    """From negative x to slope x; positive numbers stay as they are.

    Attributes:
        slope: of the negative numbers.
    """

    slope: PositiveFloat = 0.1
