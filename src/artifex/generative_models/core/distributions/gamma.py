"""The gamma distribution: positive entries, as waiting times and precisions are."""

from typing import Any

import jax
import jax.numpy as jnp
from jax.scipy.special import gammaln
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractEntries
from artifex.generative_models.core.distributions.special import (
    HALF_LOG_2_PI,
    STIRLING_START,
    deviance,
    entropy_term,
    stirling_remainder,
)


class Gamma(AbstractEntries):
    """Independent entries with density `rate^a x^(a - 1) exp(-rate x) / Gamma(a)` for positive x.

    For large a = concentration, powers and gamma functions cancel; there it is Loader's form, with D of `special`,
    `-deviance(a, rate x) - D(a) + log(a / (2 pi)) / 2 - log(x)`.

    Args:
        concentration: positive.
        rate: inverse scale, positive, same shape.
    """

    concentration: Float[Array, "..."]
    rate: Float[Array, "..."]

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-density in nats; `-inf` for negative values, and at 0 the limit.

        The gradient with respect to a value of at most 0 is 0.
        """
        a, rate = self.concentration, self.rate
        x = jnp.where(value > 0, value, 1.0)
        is_large = a >= STIRLING_START
        small, large = jnp.where(is_large, 1.0, a), jnp.where(is_large, a, STIRLING_START)
        direct = small * jnp.log(rate) + (small - 1) * jnp.log(x) - rate * x - gammaln(small)
        halves = 0.5 * jnp.log(large) - HALF_LOG_2_PI
        by_deviance = halves - deviance(large, rate * x) - stirling_remainder(large) - jnp.log(x)
        inside = jnp.where(is_large, by_deviance, direct)
        at_zero = jnp.where(a == 1, jnp.log(rate), jnp.where(a < 1, jnp.inf, -jnp.inf))
        return jnp.where(value > 0, inside, jnp.where(value == 0, at_zero, -jnp.inf))

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        a = jnp.broadcast_to(self.concentration, (n, *self.rate.shape))
        samples = jax.random.gamma(key, a, a.shape, a.dtype) / self.rate[None]
        # With a small concentration, most numbers would round to 0, which is not in the support.
        return jnp.maximum(samples, jnp.finfo(a.dtype).tiny)

    def distance_to_support(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """How far below 0."""
        return jnp.where(jnp.isfinite(value), jnp.maximum(-value, 0.0), jnp.inf)

    def mean(self) -> Float[Array, "..."]:
        """`concentration / rate`."""
        return self.concentration / self.rate

    def mode(self) -> Float[Array, "..."]:
        """`(concentration - 1) / rate`, or 0 where that is negative."""
        return jnp.maximum(self.concentration - 1, 0.0) / self.rate

    def variance(self) -> Float[Array, "..."]:
        """`concentration / rate^2`."""
        return self.concentration / self.rate / self.rate

    def entropy(self) -> Float[Array, "..."]:
        """`a - log(rate) + log Gamma(a) + (1 - a) digamma(a)`, in nats."""
        return entropy_term(self.concentration) - jnp.log(self.rate)
