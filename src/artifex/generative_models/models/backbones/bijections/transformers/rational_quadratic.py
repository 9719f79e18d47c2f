"""Rational-quadratic splines.

In a piece of width w and height h, of slope s = h / w, with derivatives d_0 and d_1 at its ends and
theta = (x - x_0) / w in [0, 1],

    y = y_0 + h (s theta^2 + d_0 theta (1 - theta)) / (s + (d_0 + d_1 - 2 s) theta (1 - theta)),

whose inverse is the root of a quadratic. Source: Durkan et al. 2019 (neural spline flows), arXiv:1906.04032, equations
4 to 8; on the circle Rezende et al. 2020, arXiv:2002.02428, section 2.2.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import (
    CircularSplineConfig,
    IntervalSplineConfig,
    RationalQuadraticSplineConfig,
)
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
    with_identity_outside,
)


class RationalQuadraticSpline(AbstractTransformer):
    """The identity outside of [-bound, bound], with derivative 1 at the ends; parameters of zeros are the identity."""

    config: RationalQuadraticSplineConfig = eqx.field(static=True)

    def __init__(self, config: RationalQuadraticSplineConfig):
        """Build it."""
        self.config = config

    @property
    def num_parameters(self) -> int:
        """Widths, heights, and derivatives at the inner knots."""
        return 3 * self.config.num_bins - 1

    def forward_and_log_derivative(self, x: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """Y and log dy/dx."""
        spline = self._spline(parameters)
        return with_identity_outside(lambda x: _forward(x, *spline), x, self.config.bound)

    def inverse_and_log_derivative(self, y: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """X and log dx/dy."""
        spline = self._spline(parameters)
        return with_identity_outside(lambda y: _inverse(y, *spline), y, self.config.bound)

    def _spline(self, parameters: Parameters) -> tuple[Pieces, Pieces, Values]:
        config = self.config
        widths, heights, inner = jnp.split(parameters, (config.num_bins, 2 * config.num_bins))
        one = jnp.ones_like(parameters[:1])
        derivatives = jnp.concatenate([one, _derivatives(inner, config.min_derivative), one])
        return (
            make_pieces(widths, config.bound, config.min_width),
            make_pieces(heights, config.bound, config.min_height),
            derivatives,
        )


class IntervalSpline(AbstractTransformer):
    """From [-bound, bound] onto itself, with trained derivatives at the ends; parameters of zeros are the identity.

    Numbers outside, as rounding makes them, are taken for the nearest end.
    """

    config: IntervalSplineConfig = eqx.field(static=True)

    def __init__(self, config: IntervalSplineConfig):
        """Build it."""
        self.config = config

    @property
    def num_parameters(self) -> int:
        """Widths, heights, and derivatives at all knots."""
        return 3 * self.config.num_bins + 1

    def forward_and_log_derivative(self, x: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """Y and log dy/dx."""
        return _forward(self._inside(x), *self._spline(parameters))

    def inverse_and_log_derivative(self, y: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """X and log dx/dy."""
        return _inverse(self._inside(y), *self._spline(parameters))

    def _inside(self, x: Scalar) -> Scalar:
        return jnp.clip(x, -self.config.bound, self.config.bound)

    def _spline(self, parameters: Parameters) -> tuple[Pieces, Pieces, Values]:
        config = self.config
        widths, heights, derivatives = jnp.split(parameters, (config.num_bins, 2 * config.num_bins))
        return (
            make_pieces(widths, config.bound, config.min_width),
            make_pieces(heights, config.bound, config.min_height),
            _derivatives(derivatives, config.min_derivative),
        )


class CircularSpline(AbstractTransformer):
    """From [-pi, pi) onto itself; other numbers are taken modulo 2 pi; parameters of zeros are the identity.

    The derivative is the same at both ends, and after the spline the circle is turned, so that no point is fixed.
    """

    is_periodic: ClassVar[bool] = True

    config: CircularSplineConfig = eqx.field(static=True)

    def __init__(self, config: CircularSplineConfig):
        """Build it."""
        self.config = config

    @property
    def num_parameters(self) -> int:
        """Widths, heights, derivatives at all knots, and the angle."""
        return 3 * self.config.num_bins + 1

    def forward_and_log_derivative(self, x: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """Y and log dy/dx."""
        spline, angle = self._spline_and_angle(parameters)
        y, log_derivative = _forward(wrapped(x), *spline)
        return wrapped(y + angle), log_derivative

    def inverse_and_log_derivative(self, y: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """X and log dx/dy."""
        spline, angle = self._spline_and_angle(parameters)
        x, log_derivative = _inverse(wrapped(y - angle), *spline)
        return wrapped(x), log_derivative

    def _spline_and_angle(self, parameters: Parameters) -> tuple[tuple[Pieces, Pieces, Values], Scalar]:
        config = self.config
        num = config.num_bins
        widths, heights, derivatives, angle = jnp.split(parameters, (num, 2 * num, 3 * num))
        derivatives = _derivatives(derivatives, config.min_derivative)
        spline = (
            make_pieces(widths, math.pi, config.min_width),
            make_pieces(heights, math.pi, config.min_height),
            jnp.concatenate([derivatives, derivatives[:1]]),
        )
        return spline, math.pi * jnp.tanh(angle[0] / math.pi)


def wrapped(angle: Float[Array, "..."]) -> Float[Array, "..."]:
    """The angle modulo 2 pi, in [-pi, pi)."""
    turned = angle - 2.0 * math.pi * jnp.floor((angle + math.pi) / (2.0 * math.pi))
    return jnp.where((turned >= math.pi) | (turned < -math.pi), -math.pi, turned)


def _derivatives(parameters: Values, least: float) -> Values:
    """Positive numbers above the least one; 1 for zeros."""
    return least + jax.nn.softplus(parameters + math.log(math.expm1(1.0 - least)))


def _forward(x: Scalar, xs: Pieces, ys: Pieces, derivatives: Values) -> tuple[Scalar, Scalar]:
    piece = piece_of(x, xs.start)
    x_0, width = pick(xs.start, piece), pick(xs.length, piece)
    y_0, height = pick(ys.start, piece), pick(ys.length, piece)
    d_0, d_1 = pick(derivatives[:-1], piece), pick(derivatives[1:], piece)
    slope = height / width
    theta = (x - x_0) / width
    product = theta * (1.0 - theta)
    denominator = slope + (d_0 + d_1 - 2.0 * slope) * product
    y = y_0 + height * (slope * theta**2 + d_0 * product) / denominator
    return y, _log_derivative(theta, slope, d_0, d_1)


def _inverse(y: Scalar, xs: Pieces, ys: Pieces, derivatives: Values) -> tuple[Scalar, Scalar]:
    piece = piece_of(y, ys.start)
    x_0, width = pick(xs.start, piece), pick(xs.length, piece)
    y_0, height = pick(ys.start, piece), pick(ys.length, piece)
    d_0, d_1 = pick(derivatives[:-1], piece), pick(derivatives[1:], piece)
    slope = height / width
    phi = (y - y_0) / height
    bend = d_0 + d_1 - 2.0 * slope
    a, b, c = slope - d_0 + phi * bend, d_0 - phi * bend, -slope * phi
    # The discriminant is positive, but for rounding. Of the two forms of the root in [0, 1], each sign of b has one
    # that does not cancel.
    root = jnp.sqrt(jnp.maximum(b**2 - 4.0 * a * c, jnp.finfo(y.dtype).eps * b**2))
    is_positive = b >= 0
    theta = jnp.where(is_positive, -2.0 * c, root - b) / jnp.where(is_positive, b + root, 2.0 * a)
    theta = jnp.clip(theta, 0.0, 1.0)
    return x_0 + theta * width, -_log_derivative(theta, slope, d_0, d_1)


def _log_derivative(theta: Scalar, slope: Scalar, d_0: Scalar, d_1: Scalar) -> Scalar:
    product = theta * (1.0 - theta)
    denominator = slope + (d_0 + d_1 - 2.0 * slope) * product
    numerator = d_1 * theta**2 + 2.0 * slope * product + d_0 * (1.0 - theta) ** 2
    return 2.0 * (jnp.log(slope) - jnp.log(denominator)) + jnp.log(numerator)


@make_transformer.register
def _(config: RationalQuadraticSplineConfig) -> AbstractTransformer:
    return RationalQuadraticSpline(config)


@make_transformer.register
def _(config: IntervalSplineConfig) -> AbstractTransformer:
    return IntervalSpline(config)


@make_transformer.register
def _(config: CircularSplineConfig) -> AbstractTransformer:
    return CircularSpline(config)
