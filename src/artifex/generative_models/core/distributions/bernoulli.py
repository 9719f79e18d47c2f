"""A Bernoulli distribution for floating-point events.

It differs from `distrax.Bernoulli` in three ways: events are floats, as images are; the log-probability takes one
`softplus` instead of two; and sampling broadcasts explicitly, so it works under strict rank promotion.
"""

from typing import Any

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Bernoulli(distrax.Distribution):
    """Independent entries in {0, 1}, all of them batch axes; `bernoulli` makes them event axes.

    Args:
        logits: log-odds of a 1.
    """

    def __init__(self, logits: Float[Array, "..."]):
        self.logits = logits

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Scalars."""
        return ()

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the logits."""
        return self.logits.shape

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        probabilities = jnp.broadcast_to(self.mean(), (n, *self.logits.shape))
        return jax.random.bernoulli(key, probabilities).astype(self.logits.dtype)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """`value * logits - softplus(logits)`, in nats.

        For a value between 0 and 1 this is the usual cross-entropy, which is not a log-density.
        """
        return value * self.logits - jax.nn.softplus(self.logits)

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
