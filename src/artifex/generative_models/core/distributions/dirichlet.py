"""The Dirichlet distribution: vectors of proportions."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractDistribution
from artifex.generative_models.core.distributions.special import (
    HALF_LOG_2_PI,
    STIRLING_START,
    deviance,
    entropy_term,
    stirling_remainder,
)


class Dirichlet(AbstractDistribution):
    """Vectors of positive numbers that sum to 1, with density proportional to `prod x_i^(a_i - 1)`.

    With A the sum of the concentrations, terms of entries with a large a_i are written by `deviance(a_i, A x_i)`, so
    that powers and gamma functions do not cancel. That uses that x sums to 1: the density of an x that sums to 1 + d
    is off by a factor of `exp(-A d)`.

    Args:
        concentration: positive; the last axis is that of a vector, of at least two entries.
    """

    concentration: Float[Array, "... categories"]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """One vector."""
        return self.concentration.shape[-1:]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The axes before."""
        return self.concentration.shape[:-1]

    def log_prob(self, value: Float[Array, "... categories"]) -> Float[Array, "..."]:
        """Log-density in nats, with respect to all entries but the last; `-inf` with a negative entry.

        The sum is not checked: see `check_support`. At an entry of 0 it is the limit, and the gradient with
        respect to that entry is 0.
        """
        a = self.concentration
        total = jnp.sum(a, axis=-1, keepdims=True)
        is_inside = value > 0
        x = jnp.where(is_inside, value, 1.0)
        is_large = a >= STIRLING_START
        small, large = jnp.where(is_large, 1.0, a), jnp.where(is_large, a, STIRLING_START)
        direct = (small - 1) * jnp.log(x) - gammaln(small) + small * jnp.log(total) - total * x
        halves = 0.5 * jnp.log(large) - HALF_LOG_2_PI
        by_deviance = halves - deviance(large, total * x) - jnp.log(x) - stirling_remainder(large)
        at_zero = jnp.where(a == 1, jnp.log(total), jnp.where(a < 1, jnp.inf, -jnp.inf))
        at_zero = jnp.where(value == 0, at_zero, -jnp.inf)
        entries = jnp.sum(jnp.where(is_inside, jnp.where(is_large, by_deviance, direct), at_zero), axis=-1)
        total = total[..., 0]
        return entries + HALF_LOG_2_PI - 0.5 * jnp.log(total) + stirling_remainder(total)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        a = jnp.broadcast_to(self.concentration, (n, *self.concentration.shape))
        samples = jax.random.dirichlet(key, a, a.shape[:-1], a.dtype)
        return jnp.maximum(samples, jnp.finfo(a.dtype).tiny)

    def distance_to_support(self, value: Float[Array, "... categories"]) -> Float[Array, "..."]:
        """The most negative entry, or how far the sum is from 1 beyond rounding."""
        return distance_to_simplex(value)

    def mean(self) -> Float[Array, "... categories"]:
        """`a_i / A`."""
        return self.concentration / jnp.sum(self.concentration, axis=-1, keepdims=True)

    def mode(self) -> Float[Array, "... categories"]:
        """`(a_i - 1) / (A - categories)`, with 0 where a_i is at most 1; NaN where all are."""
        excess = jnp.maximum(self.concentration - 1, 0.0)
        total = jnp.sum(excess, axis=-1, keepdims=True)
        return jnp.where(total > 0, excess / jnp.where(total > 0, total, 1.0), jnp.nan)

    def variance(self) -> Float[Array, "... categories"]:
        """`mean (1 - mean) / (A + 1)` of each entry."""
        mean = self.mean()
        return mean * (1 - mean) / (jnp.sum(self.concentration, axis=-1, keepdims=True) + 1)

    def entropy(self) -> Float[Array, "..."]:
        """In nats, with respect to all entries but the last."""
        a = self.concentration
        total = jnp.sum(a, axis=-1)
        return jnp.sum(entropy_term(a), axis=-1) - entropy_term(total) - (a.shape[-1] - 1) * digamma(total)


def distance_to_simplex(value: Float[Array, "... categories"]) -> Float[Array, "..."]:
    """The most negative entry, or how far the sum is from 1; sums that rounding explains count as 1."""
    error = jnp.abs(jnp.sum(value, axis=-1) - 1)
    error = jnp.where(error > 8 * jnp.finfo(value.dtype).eps * value.shape[-1], error, 0.0)
    outside = jnp.maximum(jnp.max(jnp.maximum(-value, 0.0), axis=-1), error)
    return jnp.where(jnp.all(jnp.isfinite(value), axis=-1), outside, jnp.inf)
