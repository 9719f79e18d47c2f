"""Configs of increasing maps of one number, whose parameters a network gives."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import Fraction, PositiveFloat, PositiveInt


@config()
class ScalarTransformerConfig(Config):
    """An increasing map of one number: what a coupling or autoregressive layer does to each entry."""


@config("affine")
class AffineTransformerConfig(ScalarTransformerConfig):
    """y = exp(s) x + b.

    Attributes:
        max_log_scale: bound of |s|, approached smoothly.
    """

    max_log_scale: PositiveFloat = 5.0


@config("additive")
class AdditiveTransformerConfig(ScalarTransformerConfig):
    """y = x + b, which changes no volume."""


@config("rational_quadratic_spline")
class RationalQuadraticSplineConfig(ScalarTransformerConfig):
    """Quotients of quadratics between knots in an interval, the identity outside.

    Attributes:
        num_bins: pieces.
        bound: the interval is [-bound, bound], on both sides of the map.
        min_width: least part of the interval that a piece takes; times `num_bins` below 1.
        min_height: the same of what it is mapped to.
        min_derivative: least derivative at a knot.
    """

    num_bins: PositiveInt = 8
    bound: PositiveFloat = 5.0
    min_width: PositiveFloat = 1e-3
    min_height: PositiveFloat = 1e-3
    min_derivative: Fraction = 1e-3

    def __post_init__(self) -> None:
        check_parts("min_width", self.min_width, self.num_bins)
        check_parts("min_height", self.min_height, self.num_bins)


@config("circular_spline")
class CircularSplineConfig(ScalarTransformerConfig):
    """A rational-quadratic spline from the circle [-pi, pi) onto itself, smooth where it closes, and a rotation.

    Attributes:
        num_bins: pieces.
        min_width: least part of the circle that a piece takes; times `num_bins` below 1.
        min_height: the same of what it is mapped to.
        min_derivative: least derivative at a knot.
    """

    num_bins: PositiveInt = 8
    min_width: PositiveFloat = 1e-3
    min_height: PositiveFloat = 1e-3
    min_derivative: Fraction = 1e-3

    def __post_init__(self) -> None:
        check_parts("min_width", self.min_width, self.num_bins)
        check_parts("min_height", self.min_height, self.num_bins)


@config("interval_spline")
class IntervalSplineConfig(ScalarTransformerConfig):
    """A rational-quadratic spline from an interval onto itself, with free derivatives at its ends.

    Attributes:
        num_bins: pieces.
        bound: the interval is [-bound, bound].
        min_width: least part of the interval that a piece takes; times `num_bins` below 1.
        min_height: the same of what it is mapped to.
        min_derivative: least derivative at a knot.
    """

    num_bins: PositiveInt = 8
    bound: PositiveFloat = 1.0
    min_width: PositiveFloat = 1e-3
    min_height: PositiveFloat = 1e-3
    min_derivative: Fraction = 1e-3

    def __post_init__(self) -> None:
        check_parts("min_width", self.min_width, self.num_bins)
        check_parts("min_height", self.min_height, self.num_bins)


@config("linear_spline")
class LinearSplineConfig(ScalarTransformerConfig):
    """Straight pieces of equal width in an interval, the identity outside.

    Attributes:
        num_bins: pieces.
        bound: the interval is [-bound, bound], on both sides of the map.
        min_height: least part of the interval that a piece is mapped to; times `num_bins` below 1.
    """

    num_bins: PositiveInt = 8
    bound: PositiveFloat = 5.0
    min_height: PositiveFloat = 1e-3

    def __post_init__(self) -> None:
        check_parts("min_height", self.min_height, self.num_bins)


@config("cubic_spline")
class CubicSplineConfig(ScalarTransformerConfig):
    """Monotone cubics between knots in an interval, the identity outside.

    Attributes:
        num_bins: pieces.
        bound: the interval is [-bound, bound], on both sides of the map.
        min_width: least part of the interval that a piece takes; times `num_bins` below 1.
        min_height: the same of what it is mapped to.
    """

    num_bins: PositiveInt = 8
    bound: PositiveFloat = 5.0
    min_width: PositiveFloat = 1e-3
    min_height: PositiveFloat = 1e-3

    def __post_init__(self) -> None:
        check_parts("min_width", self.min_width, self.num_bins)
        check_parts("min_height", self.min_height, self.num_bins)


@config("mixture_cdf")
class MixtureCDFConfig(ScalarTransformerConfig):
    """The logit of a mixture of logistic distribution functions, and an affine map; its inverse is iterative.

    Attributes:
        num_components: of the mixture.
        max_log_scale: bound of the logarithms of all scales, approached smoothly.
    """

    num_components: PositiveInt = 8
    max_log_scale: PositiveFloat = 5.0


@config("monotone_network")
class MonotoneNetworkConfig(ScalarTransformerConfig):
    """A network of one number with positive weights, given by the conditioner, and a line; its inverse is iterative.

    Attributes:
        hidden_size: width of its two hidden layers; a parameter for each of its square.
        min_derivative: least slope of the line.
    """

    hidden_size: PositiveInt = 8
    min_derivative: PositiveFloat = 1e-3


def check_parts(name: str, least: float, num: int) -> None:
    """Raise unless `num` parts of an interval can all have the least size."""
    if least * num >= 1:
        raise ValueError(
            f"`{name}` times `num_bins` must be below 1, or there is nothing to share out; got {least} and {num}"
        )
