"""The uniform distribution on an interval."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractEntries


class Uniform(AbstractEntries):
    """Independent entries, each uniform in [low, high].

    Args:
        low: lower ends.
        high: upper ends, same shape, each above its lower end.
    """

    low: Float[Array, "..."]
    high: Float[Array, "..."]

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """`-log(high - low)`, in nats; `-inf` outside."""
        inside = (value >= self.low) & (value <= self.high)
        return jnp.where(inside, -jnp.log(self.high - self.low), -jnp.inf)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        noise = jax.random.uniform(key, (n, *self.low.shape), self.low.dtype)
        return jnp.minimum(self.low[None] + (self.high - self.low)[None] * noise, self.high[None])

    def distance_to_support(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Distance to the interval."""
        outside = jnp.maximum(jnp.maximum(self.low - value, value - self.high), 0.0)
        return jnp.where(jnp.isnan(value), jnp.inf, outside)

    def mean(self) -> Float[Array, "..."]:
        """The middle."""
        return self.low + 0.5 * (self.high - self.low)

    def variance(self) -> Float[Array, "..."]:
        """`(high - low)^2 / 12`."""
        return jnp.square(self.high - self.low) / 12

    def entropy(self) -> Float[Array, "..."]:
        """`log(high - low)`, in nats."""
        return jnp.log(self.high - self.low)
