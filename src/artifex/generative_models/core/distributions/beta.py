"""The beta distribution: entries between 0 and 1, as proportions are."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractEntries
from artifex.generative_models.core.distributions.special import (
    HALF_LOG_2_PI,
    STIRLING_START,
    deviance,
    entropy_term,
    log_beta,
    stirling_remainder,
)


class Beta(AbstractEntries):
    """Independent entries with density `x^(alpha - 1) (1 - x)^(beta - 1) / B(alpha, beta)` in (0, 1).

    Where both parameters are large, powers and the beta function cancel; there it is Loader's form, by `deviance`.

    Args:
        alpha: positive.
        beta: positive, same shape.
    """

    alpha: Float[Array, "..."]
    beta: Float[Array, "..."]

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-density in nats; `-inf` outside of [0, 1], and at the ends the limit.

        The gradient with respect to a value that is not inside is 0.
        """
        inside = (value > 0) & (value < 1)
        x = jnp.where(inside, value, 0.5)
        is_large = jnp.minimum(self.alpha, self.beta) >= STIRLING_START
        log_prob = jnp.where(is_large, self._by_deviance(x, is_large), self._direct(x))
        at_zero = _at_end(self.alpha, self.beta)
        at_one = _at_end(self.beta, self.alpha)
        at_end = jnp.where(value == 0, at_zero, jnp.where(value == 1, at_one, -jnp.inf))
        return jnp.where(inside, log_prob, at_end)

    def _direct(self, x: Array) -> Array:
        powers = (self.alpha - 1) * jnp.log(x) + (self.beta - 1) * jnp.log1p(-x)
        return powers - log_beta(self.alpha, self.beta)

    def _by_deviance(self, x: Array, is_large: Array) -> Array:
        a, b = (jnp.where(is_large, value, STIRLING_START) for value in (self.alpha, self.beta))
        total = a + b
        deviances = deviance(a, total * x) + deviance(b, total * (1 - x))
        remainders = stirling_remainder(a) + stirling_remainder(b) - stirling_remainder(total)
        halves = 0.5 * (jnp.log(a) + jnp.log(b) - jnp.log(total)) - HALF_LOG_2_PI
        return halves - deviances - remainders - jnp.log(x) - jnp.log1p(-x)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        a, b = (jnp.broadcast_to(value, (n, *value.shape)) for value in (self.alpha, self.beta))
        samples = jax.random.beta(key, a, b, a.shape, a.dtype)
        # With small parameters, many numbers would round to an end, which is not in the support.
        info = jnp.finfo(a.dtype)
        return jnp.clip(samples, info.tiny, 1 - info.epsneg)

    def distance_to_support(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Distance to [0, 1]."""
        outside = jnp.maximum(jnp.maximum(-value, value - 1), 0.0)
        return jnp.where(jnp.isnan(value), jnp.inf, outside)

    def mean(self) -> Float[Array, "..."]:
        """`alpha / (alpha + beta)`."""
        return self.alpha / (self.alpha + self.beta)

    def mode(self) -> Float[Array, "..."]:
        """`(alpha - 1) / (alpha + beta - 2)`; an end where one parameter is at most 1; NaN where both are."""
        a, b = jnp.maximum(self.alpha - 1, 0.0), jnp.maximum(self.beta - 1, 0.0)
        has_mode = a + b > 0
        return jnp.where(has_mode, a / jnp.where(has_mode, a + b, 1.0), jnp.nan)

    def variance(self) -> Float[Array, "..."]:
        """`mean (1 - mean) / (alpha + beta + 1)`."""
        total = self.alpha + self.beta
        return (self.alpha / total) * (self.beta / total) / (total + 1)

    def entropy(self) -> Float[Array, "..."]:
        """`log B(a, b) - (a - 1) digamma(a) - (b - 1) digamma(b) + (a + b - 2) digamma(a + b)`, in nats."""
        total = self.alpha + self.beta
        terms = entropy_term(self.alpha) + entropy_term(self.beta) - entropy_term(total)
        return terms - digamma(total)


def _at_end(near: Array, far: Array) -> Array:
    return jnp.where(near == 1, jnp.log(far), jnp.where(near < 1, jnp.inf, -jnp.inf))
