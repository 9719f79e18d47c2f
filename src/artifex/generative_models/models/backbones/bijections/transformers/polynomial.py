"""Splines of straight lines and of cubics."""

import equinox as eqx
import jax.numpy as jnp

from artifex.generative_models.core.configuration import CubicSplineConfig, LinearSplineConfig
from artifex.generative_models.models.backbones.bijections.roots import increasing_root
from artifex.generative_models.models.backbones.bijections.transformers.base import (
    AbstractTransformer,
    Parameters,
    Scalar,
    make_transformer,
)
from artifex.generative_models.models.backbones.bijections.transformers.knots import (
    Pieces,
    Values,
    make_pieces,
    pick,
    piece_of,
    spread,
    with_identity_outside,
)


class LinearSpline(AbstractTransformer):
    """Straight pieces of equal width in [-bound, bound], the identity outside; parameters of zeros are the identity.

    Source: Mueller et al. 2019 (neural importance sampling), arXiv:1808.03856, section 4.1; the interval is ours.
    """

    config: LinearSplineConfig = eqx.field(static=True)

    def __init__(self, config: LinearSplineConfig):
        """Build it."""
        self.config = config

    @property
    def num_parameters(self) -> int:
        """Heights."""
        return self.config.num_bins

    def forward_and_log_derivative(self, x: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """Y and log dy/dx."""
        xs, ys = self._pieces(parameters)
        return with_identity_outside(lambda x: _line(x, xs, ys), x, self.config.bound)

    def inverse_and_log_derivative(self, y: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """X and log dx/dy."""
        xs, ys = self._pieces(parameters)
        return with_identity_outside(lambda y: _line(y, ys, xs), y, self.config.bound)

    def _pieces(self, parameters: Parameters) -> tuple[Pieces, Pieces]:
        bound, num = self.config.bound, self.config.num_bins
        start = spread(jnp.linspace(-bound, bound, num + 1)[:-1], parameters)
        equal = Pieces(start, jnp.full_like(parameters, 2.0 * bound / num))
        return equal, make_pieces(parameters, bound, self.config.min_height)


def _line(x: Scalar, xs: Pieces, ys: Pieces) -> tuple[Scalar, Scalar]:
    piece = piece_of(x, xs.start)
    x_0, width = pick(xs.start, piece), pick(xs.length, piece)
    y_0, height = pick(ys.start, piece), pick(ys.length, piece)
    return y_0 + height * ((x - x_0) / width), jnp.log(height) - jnp.log(width)


class CubicSpline(AbstractTransformer):
    """Monotone cubics in [-bound, bound], the identity outside; parameters of zeros are the identity.

    In a piece of width w and slope s, with derivatives d_0 and d_1 at its ends and theta = (x - x_0) / w,

        y = y_0 + w (d_0 theta + (3 s - 2 d_0 - d_1) theta^2 + (d_0 + d_1 - 2 s) theta^3),

    where the derivatives are those of Steffen's rule, at most twice the slopes beside them, so that every piece
    increases. The inverse is found by iteration, because the formula for cubics cancels.

    Source: Durkan et al. 2019 (cubic-spline flows), arXiv:1906.02145, section 3 and appendix A; Steffen 1990. Theirs
    maps [0, 1] to itself and learns the derivatives at the two ends; here they are 1, as outside, or as near as
    Steffen's rule allows.
    """

    config: CubicSplineConfig = eqx.field(static=True)

    def __init__(self, config: CubicSplineConfig):
        """Build it."""
        self.config = config

    @property
    def num_parameters(self) -> int:
        """Widths and heights."""
        return 2 * self.config.num_bins

    def forward_and_log_derivative(self, x: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """Y and log dy/dx."""
        xs, ys, derivatives = self._spline(parameters)

        def inside(x: Scalar) -> tuple[Scalar, Scalar]:
            piece = piece_of(x, xs.start)
            x_0, y_0 = pick(xs.start, piece), pick(ys.start, piece)
            width, height = pick(xs.length, piece), pick(ys.length, piece)
            ends = pick(derivatives[:-1], piece), pick(derivatives[1:], piece)
            theta, slope = (x - x_0) / width, height / width
            return y_0 + width * _cubic(theta, slope, *ends), jnp.log(_cubic_derivative(theta, slope, *ends))

        return with_identity_outside(inside, x, self.config.bound)

    def inverse_and_log_derivative(self, y: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """X and log dx/dy."""
        xs, ys, derivatives = self._spline(parameters)

        def inside(y: Scalar) -> tuple[Scalar, Scalar]:
            piece = piece_of(y, ys.start)
            x_0, y_0 = pick(xs.start, piece), pick(ys.start, piece)
            width, height = pick(xs.length, piece), pick(ys.length, piece)
            ends = pick(derivatives[:-1], piece), pick(derivatives[1:], piece)
            target, slope = (y - y_0) / width, height / width
            theta = increasing_root(
                lambda theta: _cubic(theta, slope, *ends) - target, jnp.zeros_like(y), jnp.ones_like(y)
            )
            return x_0 + width * theta, -jnp.log(_cubic_derivative(theta, slope, *ends))

        return with_identity_outside(inside, y, self.config.bound)

    def _spline(self, parameters: Parameters) -> tuple[Pieces, Pieces, Values]:
        config = self.config
        xs = make_pieces(parameters[: config.num_bins], config.bound, config.min_width)
        ys = make_pieces(parameters[config.num_bins :], config.bound, config.min_height)
        widths, slopes = xs.length, ys.length / xs.length
        left, right = slopes[:-1], slopes[1:]
        parabola = (left * widths[1:] + right * widths[:-1]) / (widths[1:] + widths[:-1])
        inner = jnp.minimum(2.0 * jnp.minimum(left, right), parabola)
        first, last = jnp.minimum(1.0, 2.0 * slopes[:1]), jnp.minimum(1.0, 2.0 * slopes[-1:])
        return xs, ys, jnp.concatenate([first, inner, last])


def _cubic(theta: Scalar, slope: Scalar, d_0: Scalar, d_1: Scalar) -> Scalar:
    """(y - y_0) / w."""
    return theta * (d_0 + theta * (3.0 * slope - 2.0 * d_0 - d_1 + theta * (d_0 + d_1 - 2.0 * slope)))


def _cubic_derivative(theta: Scalar, slope: Scalar, d_0: Scalar, d_1: Scalar) -> Scalar:
    """Dy / dx, as a sum around each end, which does not cancel there."""
    rest = 1.0 - theta
    return d_0 * rest**2 + d_1 * theta**2 + 2.0 * theta * rest * (3.0 * slope - d_0 - d_1)


@make_transformer.register
def _(config: LinearSplineConfig) -> AbstractTransformer:
    return LinearSpline(config)


@make_transformer.register
def _(config: CubicSplineConfig) -> AbstractTransformer:
    return CubicSpline(config)
