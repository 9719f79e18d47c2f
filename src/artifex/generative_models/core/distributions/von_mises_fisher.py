"""Distributions around a direction: von Mises on the circle, von Mises-Fisher on the sphere in any dimension.

The density of a unit vector x in p dimensions, with respect to the surface of the sphere, is

    exp(kappa (m . x - 1)) / (area h_v(kappa) exp(-kappa)),    v = p / 2 - 1,

with `h_v` of `bessel`. The exponent is written -kappa |x - m|^2 / 2, which is the same on the sphere and does not
cancel. Source: Mardia and Jupp 2000, Directional Statistics, sections 3.5.4 and 9.3.2.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractDistribution, AbstractEntries
from artifex.generative_models.core.distributions.bessel import log_scaled_bessel, one_minus_mean_resultant
from artifex.generative_models.core.distributions.direction_sampling import sample_one_minus_cosine


class VonMises(AbstractEntries):
    """Independent angles with density proportional to `exp(concentration cos(x - loc))`, in radians.

    The density has a period of 2 pi and is normalized over one; samples lie in [-pi, pi].

    Args:
        loc: mean angles.
        concentration: at least 0, same shape; near `1 / variance` where it is large.
    """

    loc: Float[Array, "..."]
    concentration: Float[Array, "..."]

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-density in nats."""
        exponent = -2 * self.concentration * jnp.square(jnp.sin((value - self.loc) / 2))
        return exponent - log_scaled_bessel(0.0, self.concentration) - math.log(2 * math.pi)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        cosine_key, sign_key = jax.random.split(key)
        u = sample_one_minus_cosine(cosine_key, jnp.broadcast_to(self.concentration, (n, *self.loc.shape)), 2)
        sign = jax.random.rademacher(sign_key, u.shape, u.dtype)
        angle = self.loc[None] + sign * angle_of(u)
        return angle - 2 * jnp.pi * jax.lax.stop_gradient(jnp.round(angle / (2 * jnp.pi)))

    def distance_to_support(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """All finite angles belong to it."""
        return jnp.where(jnp.isfinite(value), 0.0, jnp.inf)

    def mean(self) -> Float[Array, "..."]:
        """The mean direction, `loc`."""
        return self.loc

    def mode(self) -> Float[Array, "..."]:
        """`loc`."""
        return self.loc

    def variance(self) -> Float[Array, "..."]:
        """The circular variance, `1 - E[cos(x - loc)]`, in [0, 1]."""
        return one_minus_mean_resultant(0.0, self.concentration)

    def entropy(self) -> Float[Array, "..."]:
        """In nats."""
        scaled = log_scaled_bessel(0.0, self.concentration)
        return math.log(2 * math.pi) + scaled + self.concentration * self.variance()


class VonMisesFisher(AbstractDistribution):
    """Unit vectors along the last axis with density proportional to `exp(concentration direction . x)`.

    Args:
        direction: mean directions, unit vectors.
        concentration: at least 0, without the last axis; 0 is the uniform distribution.
    """

    direction: Float[Array, "... dim"]
    concentration: Float[Array, "..."]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """One vector."""
        return self.direction.shape[-1:]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The axes before."""
        return self.direction.shape[:-1]

    @property
    def order(self) -> float:
        """Of the Bessel function."""
        return self.direction.shape[-1] / 2 - 1

    @property
    def log_area(self) -> float:
        """Logarithm of the area of the sphere, `2 pi^(p / 2) / Gamma(p / 2)`."""
        half = self.direction.shape[-1] / 2
        return math.log(2) + half * math.log(math.pi) - math.lgamma(half)

    def log_prob(self, value: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Log-density in nats, with respect to the surface. The length of the vector is not checked."""
        squared = jnp.sum(jnp.square(value - self.direction), axis=-1)
        return (
            -0.5 * self.concentration * squared
            - log_scaled_bessel(self.order, self.concentration)
            - self.log_area
        )

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        cosine_key, tangent_key = jax.random.split(key)
        dim = self.direction.shape[-1]
        shape = (n, *self.batch_shape)
        u = sample_one_minus_cosine(cosine_key, jnp.broadcast_to(self.concentration, shape), dim)
        tangent = jax.random.normal(tangent_key, (*shape, dim - 1), u.dtype)
        tangent = tangent / jnp.linalg.norm(tangent, axis=-1, keepdims=True)
        first, rest = 1 - u, jnp.sqrt(jnp.maximum(u * (2 - u), jnp.finfo(u.dtype).tiny))[..., None] * tangent
        # A reflection takes the first axis, or its opposite if that is farther from the mean, onto the mean.
        direction = jnp.broadcast_to(self.direction, (*shape, dim))
        sign = jnp.where(direction[..., :1] > 0, -1.0, 1.0)
        axis = jnp.concatenate([direction[..., :1] - sign, direction[..., 1:]], axis=-1)
        around = jnp.concatenate([sign * first[..., None], rest], axis=-1)
        along = jnp.sum(axis * around, axis=-1, keepdims=True) / jnp.sum(
            jnp.square(axis), axis=-1, keepdims=True
        )
        return around - 2 * along * axis

    def distance_to_support(self, value: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """How far the length is from 1 beyond rounding."""
        error = jnp.abs(jnp.linalg.norm(value, axis=-1) - 1)
        error = jnp.where(error > 8 * jnp.finfo(value.dtype).eps, error, 0.0)
        return jnp.where(jnp.isfinite(error), error, jnp.inf)

    def mean(self) -> Float[Array, "... dim"]:
        """Inside of the sphere, along the mean direction."""
        return (1 - one_minus_mean_resultant(self.order, self.concentration))[..., None] * self.direction

    def mode(self) -> Float[Array, "... dim"]:
        """`direction`."""
        return self.direction

    def entropy(self) -> Float[Array, "..."]:
        """In nats, with respect to the surface."""
        spread = self.concentration * one_minus_mean_resultant(self.order, self.concentration)
        return self.log_area + log_scaled_bessel(self.order, self.concentration) + spread


def angle_of(u: Float[Array, "..."]) -> Float[Array, "..."]:
    """The angle in [0, pi] whose cosine is `1 - u`."""
    tiny = jnp.finfo(u.dtype).tiny
    return 2 * jnp.arcsin(jnp.sqrt(jnp.clip(u / 2, tiny, 1.0)))
