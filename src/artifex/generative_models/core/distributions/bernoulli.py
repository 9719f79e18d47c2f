"""A Bernoulli distribution for floating-point events.

It differs from `distrax.Bernoulli` in three ways: events are floats, as images are; the log-probability takes one
`softplus` instead of two; and sampling broadcasts explicitly, so it works under strict rank promotion.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractEntries


class Bernoulli(AbstractEntries):
    """Independent entries in {0, 1}, all of them batch axes; `bernoulli` makes them event axes.

    Args:
        logits: log-odds of a 1.
    """

    logits: Float[Array, "..."]

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        probabilities = jnp.broadcast_to(self.mean(), (n, *self.logits.shape))
        return jax.random.bernoulli(key, probabilities).astype(self.logits.dtype)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """`value * logits - softplus(logits)`, in nats.

        For a value between 0 and 1 this is the usual cross-entropy, which is not a log-density.
        """
        return value * self.logits - jax.nn.softplus(self.logits)

    def distance_to_support(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Distance to the nearer of 0 and 1."""
        distance = jnp.minimum(jnp.abs(value), jnp.abs(value - 1))
        return jnp.where(jnp.isnan(value), jnp.inf, distance)

    def mean(self) -> Float[Array, "..."]:
        """Probability of a 1."""
        return jax.nn.sigmoid(self.logits)

    def mode(self) -> Float[Array, "..."]:
        """The more probable value."""
        return (self.logits > 0).astype(self.logits.dtype)

    def variance(self) -> Float[Array, "..."]:
        """`p (1 - p)`."""
        return self.mean() * jax.nn.sigmoid(-self.logits)

    def entropy(self) -> Float[Array, "..."]:
        """`softplus(logits) - p logits`, in nats."""
        return jax.nn.softplus(self.logits) - self.mean() * self.logits
