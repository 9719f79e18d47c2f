"""Planar and radial flows.

Source: Rezende & Mohamed 2015, arXiv:1505.05770, sections 4.1 and A. Both are invertible for any parameters, by bounds
on them that are met with equality nowhere, and their inverses are computed, which the paper does not do.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.models.backbones.bijections.base import (
    AbstractSameShapeBijection,
    Condition,
    Example,
    LogDet,
    check_vector_shape,
)
from artifex.generative_models.models.backbones.bijections.parameters import ConditionalVector
from artifex.generative_models.models.backbones.bijections.roots import increasing_root

Scalar = Float[Array, ""]

_LEAST = 1e-3  # derivative along the direction in which a layer contracts most


class Planar(AbstractSameShapeBijection):
    """y = x + u tanh(w . x + b), which changes x along u alone; w . u > -1.

    The inverse solves a = w . x from w . y = a + (w . u) tanh(a + b), an increasing function, by iteration.

    Attributes:
        parameters: w, the u before it is bounded, and b.
    """

    parameters: ConditionalVector
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...], *, condition_size: int = 0, key: Key[Array, ""]):
        """Random parameters for vectors of shape `(size,)`."""
        size = check_vector_shape("Planar", event_shape)
        self.parameters = ConditionalVector(
            2 * size + 1, condition_size=condition_size, scale=size**-0.5, key=key
        )
        self.event_shape = event_shape
        self.condition_size = condition_size

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        w, u, bias, contraction = self._split(condition)
        h = jnp.tanh(w @ x + bias)
        return x + u * h, jnp.log1p(contraction * (1.0 - h**2))

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        w, u, bias, contraction = self._split(condition)
        target = w @ y
        reach = jnp.abs(contraction)
        along = increasing_root(
            lambda a: a + contraction * jnp.tanh(a + bias) - target, target - reach, target + reach
        )
        h = jnp.tanh(along + bias)
        return y - u * h, -jnp.log1p(contraction * (1.0 - h**2))

    def _split(self, condition: Condition | None) -> tuple[Array, Array, Scalar, Scalar]:
        """w, the bounded u, b, and w . u."""
        size = self.event_shape[0]
        w, u, bias = jnp.split(self.parameters(condition), (size, 2 * size))
        product = w @ u
        contraction = _positive(product) - 1.0
        square = w @ w
        u = u + (contraction - product) / jnp.where(square > 0, square, 1.0) * w
        return w, u, bias[0], contraction


class Radial(AbstractSameShapeBijection):
    """y = x_0 + (x - x_0) (gamma + r) / (alpha + r), r = |x - x_0|, alpha and gamma positive.

    It contracts around a centre where gamma < alpha and expands where it is larger; beta of the paper is
    gamma - alpha. The inverse is the root of a quadratic in r.

    Attributes:
        parameters: the centre x_0, and two numbers that make alpha and gamma / alpha.
    """

    parameters: ConditionalVector
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...], *, condition_size: int = 0, key: Key[Array, ""]):
        """Random parameters for vectors of shape `(size,)`."""
        size = check_vector_shape("Radial", event_shape)
        self.parameters = ConditionalVector(size + 2, condition_size=condition_size, scale=0.5, key=key)
        self.event_shape = event_shape
        self.condition_size = condition_size

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        centre, alpha, gamma = self._split(condition)
        radius = _norm(x - centre)
        return centre + (x - centre) * ((gamma + radius) / (alpha + radius)), self._log_det(
            radius, alpha, gamma
        )

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        centre, alpha, gamma = self._split(condition)
        radius = _norm(y - centre)
        # r^2 + p r - alpha |y - x_0| = 0: of the two forms of the positive root, the one that does not cancel.
        p, q = gamma - radius, alpha * radius
        root = jnp.sqrt(p**2 + 4.0 * q)
        is_positive = p >= 0
        r = jnp.where(is_positive, 2.0 * q, root - p) / jnp.where(is_positive, root + p, 2.0)
        return centre + (y - centre) * ((alpha + r) / (gamma + r)), -self._log_det(r, alpha, gamma)

    def _log_det(self, radius: Scalar, alpha: Scalar, gamma: Scalar) -> LogDet:
        sum_ = alpha + radius
        # The derivative along the radius is (r^2 + 2 alpha r + alpha gamma) / (alpha + r)^2.
        along = jnp.log(radius * (sum_ + alpha) + alpha * gamma) - 2.0 * jnp.log(sum_)
        across = jnp.log(gamma + radius) - jnp.log(sum_)
        return along + (self.event_shape[0] - 1) * across

    def _split(self, condition: Condition | None) -> tuple[Array, Scalar, Scalar]:
        """x_0, alpha and gamma."""
        size = self.event_shape[0]
        parameters = self.parameters(condition)
        alpha = _positive(parameters[size])
        return parameters[:size], alpha, alpha * _positive(parameters[size + 1])


def _positive(value: Scalar) -> Scalar:
    """A number above the least one; 1 for 0."""
    return _LEAST + jax.nn.softplus(value + math.log(math.expm1(1.0 - _LEAST)))


def _norm(vector: Float[Array, " size"]) -> Scalar:
    """Euclidean length, with a derivative of 0 at 0."""
    square = vector @ vector
    return jnp.where(square > 0, jnp.sqrt(jnp.where(square > 0, square, 1.0)), 0.0)
