"""Maps of each entry by itself.

Inverses of maps onto an interval are cut at the last number before its edge, so that they and their derivatives stay
finite; whether data lie in the interval at all is for the model to say, which sees their values.
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from artifex.generative_models.core.trainable import Buffer
from artifex.generative_models.models.backbones.bijections.base import (
    AbstractUnconditionalBijection,
    Condition,
    Example,
    LogDet,
    log_det_sum,
)


class AbstractElementwise(AbstractUnconditionalBijection):
    """The same map for every entry, or one for each; it is given with the logarithm of its derivative."""

    @abc.abstractmethod
    def _forward(self, x: Example) -> tuple[Example, Example]:
        """Y and log dy/dx, entry by entry."""

    @abc.abstractmethod
    def _inverse(self, y: Example) -> tuple[Example, Example]:
        """X and log dx/dy, entry by entry."""

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        y, log_derivative = self._forward(x)
        return y, log_det_sum(log_derivative)

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        x, log_derivative = self._inverse(y)
        return x, log_det_sum(log_derivative)


class Affine(AbstractElementwise):
    """y = loc + scale x, with a positive scale.

    >>> Affine((2,), loc=1.0, scale=3.0).forward(jnp.array([0.0, 1.0]))
    Array([1., 4.], dtype=float32)
    """

    parameters: tuple[Float[Array, "..."], Float[Array, "..."]] | Buffer
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        loc: ArrayLike = 0.0,
        scale: ArrayLike = 1.0,
        is_trainable: bool = True,
    ):
        """Build it.

        Args:
            event_shape: shape of one example.
            loc: what 0 is mapped to; broadcast to the shape.
            scale: positive factor; broadcast to the shape. Trained is its logarithm.
            is_trainable: whether the two are trained, or stay as they are (standardised data).

        Raises:
            ValueError: the scale is not positive.
        """
        if not isinstance(scale, Tracer) and not np.all(np.asarray(scale) > 0):
            raise ValueError(f"`scale` must be positive; got {scale}")
        dtype = jnp.zeros(()).dtype
        loc = jnp.broadcast_to(jnp.asarray(loc, dtype), event_shape)
        log_scale = jnp.broadcast_to(jnp.log(jnp.asarray(scale, dtype)), event_shape)
        self.parameters = (loc, log_scale) if is_trainable else Buffer((loc, log_scale))
        self.event_shape = event_shape

    def _forward(self, x: Example) -> tuple[Example, Example]:
        loc, log_scale = self._loc_and_log_scale()
        return loc + jnp.exp(log_scale) * x, log_scale

    def _inverse(self, y: Example) -> tuple[Example, Example]:
        loc, log_scale = self._loc_and_log_scale()
        return (y - loc) * jnp.exp(-log_scale), -log_scale

    def _loc_and_log_scale(self) -> tuple[Array, Array]:
        return self.parameters.value if isinstance(self.parameters, Buffer) else self.parameters


class AbstractParameterFree(AbstractElementwise):
    """A map that has nothing but a shape."""

    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...]):
        """Build it for examples of a shape."""
        self.event_shape = event_shape


class Exp(AbstractParameterFree):
    """y = exp(x), onto the positive numbers."""

    def _forward(self, x: Example) -> tuple[Example, Example]:
        return jnp.exp(x), x

    def _inverse(self, y: Example) -> tuple[Example, Example]:
        x = jnp.log(_above_zero(y))
        return x, -x


class Softplus(AbstractParameterFree):
    """y = log(1 + exp(x)), onto the positive numbers; for large x nearly x itself."""

    def _forward(self, x: Example) -> tuple[Example, Example]:
        return jax.nn.softplus(x), jax.nn.log_sigmoid(x)

    def _inverse(self, y: Example) -> tuple[Example, Example]:
        y = _above_zero(y)
        log_derivative = jnp.log(-jnp.expm1(-y))  # of the forward map: sigmoid(x) = 1 - exp(-y)
        return y + log_derivative, -log_derivative


class Sigmoid(AbstractParameterFree):
    """y = 1 / (1 + exp(-x)), onto (0, 1)."""

    def _forward(self, x: Example) -> tuple[Example, Example]:
        return _sigmoid(x)

    def _inverse(self, y: Example) -> tuple[Example, Example]:
        return _logit(y)


class Logit(AbstractParameterFree):
    """y = log(x / (1 - x)), from (0, 1): the inverse of `Sigmoid`."""

    def _forward(self, x: Example) -> tuple[Example, Example]:
        return _logit(x)

    def _inverse(self, y: Example) -> tuple[Example, Example]:
        return _sigmoid(y)


class Tanh(AbstractParameterFree):
    """y = tanh(x), onto (-1, 1)."""

    def _forward(self, x: Example) -> tuple[Example, Example]:
        return _tanh(x)

    def _inverse(self, y: Example) -> tuple[Example, Example]:
        edge = 1.0 - jnp.finfo(y.dtype).epsneg
        return _arctanh(jnp.clip(y, -edge, edge))


class LeakyTanh(AbstractElementwise):
    """y = tanh(x) for |x| up to a limit, its tangents beyond: onto all numbers.

    Attributes:
        limit: where the tangents begin.
    """

    event_shape: tuple[int, ...] = eqx.field(static=True)
    limit: float = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...], *, limit: float = 3.0):
        """Build it.

        Raises:
            ValueError: the limit is not positive.
        """
        if limit <= 0:
            raise ValueError(f"`limit` must be positive; got {limit}")
        self.event_shape = event_shape
        self.limit = limit

    def _forward(self, x: Example) -> tuple[Example, Example]:
        inside = jnp.clip(x, -self.limit, self.limit)
        y, log_derivative = _tanh(inside)
        return y + math.cosh(self.limit) ** -2 * (x - inside), log_derivative

    def _inverse(self, y: Example) -> tuple[Example, Example]:
        edge = math.tanh(self.limit)
        inside = jnp.clip(y, -edge, edge)
        x, log_derivative = _arctanh(inside)
        return x + math.cosh(self.limit) ** 2 * (y - inside), log_derivative


class LeakyReLU(AbstractElementwise):
    """y = x for positive x, slope x for negative.

    Attributes:
        slope: positive.
    """

    event_shape: tuple[int, ...] = eqx.field(static=True)
    slope: float = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...], *, slope: float = 0.1):
        """Build it.

        Raises:
            ValueError: the slope is not positive.
        """
        if slope <= 0:
            raise ValueError(f"`slope` must be positive, or the map has no inverse; got {slope}")
        self.event_shape = event_shape
        self.slope = slope

    def _forward(self, x: Example) -> tuple[Example, Example]:
        return self._apply(x, self.slope)

    def _inverse(self, y: Example) -> tuple[Example, Example]:
        return self._apply(y, 1.0 / self.slope)

    def _apply(self, x: Example, slope: float) -> tuple[Example, Example]:
        is_negative = x < 0
        return jnp.where(is_negative, slope * x, x), jnp.where(
            is_negative, math.log(slope), jnp.zeros_like(x)
        )


def _sigmoid(x: Example) -> tuple[Example, Example]:
    return jax.nn.sigmoid(x), -jax.nn.softplus(x) - jax.nn.softplus(-x)


def _logit(y: Example) -> tuple[Example, Example]:
    y = jnp.minimum(_above_zero(y), 1.0 - jnp.finfo(y.dtype).epsneg)
    log_y, log_rest = jnp.log(y), jnp.log1p(-y)
    return log_y - log_rest, -log_y - log_rest


def _tanh(x: Example) -> tuple[Example, Example]:
    # 1 - tanh(x)^2 = 4 / (exp(x) + exp(-x))^2, which does not cancel.
    return jnp.tanh(x), 2.0 * (math.log(2.0) - jnp.abs(x) - jax.nn.softplus(-2.0 * jnp.abs(x)))


def _arctanh(y: Example) -> tuple[Example, Example]:
    above, below = jnp.log1p(y), jnp.log1p(-y)
    return 0.5 * (above - below), -above - below


def _above_zero(y: Example) -> Example:
    return jnp.maximum(y, jnp.finfo(y.dtype).tiny)
