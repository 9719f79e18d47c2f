"""The logistic distribution: nearly a normal one, with tails that fall as `exp(-|x| / scale)`."""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractEntries


class Logistic(AbstractEntries):
    """Independent entries whose cumulative distribution is `sigmoid((x - loc) / scale)`.

    Args:
        loc: means.
        scale: positive, same shape; the standard deviation is `scale pi / sqrt(3)`.
    """

    loc: Float[Array, "..."]
    scale: Float[Array, "..."]

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-density in nats."""
        z = (value - self.loc) / self.scale
        return jax.nn.log_sigmoid(z) + jax.nn.log_sigmoid(-z) - jnp.log(self.scale)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        noise = jax.random.logistic(key, (n, *self.loc.shape), self.loc.dtype)
        return self.loc[None] + self.scale[None] * noise

    def distance_to_support(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """All finite numbers belong to it."""
        return jnp.where(jnp.isfinite(value), 0.0, jnp.inf)

    def mean(self) -> Float[Array, "..."]:
        """`loc`."""
        return self.loc

    def mode(self) -> Float[Array, "..."]:
        """`loc`."""
        return self.loc

    def variance(self) -> Float[Array, "..."]:
        """`(scale pi)^2 / 3`."""
        return jnp.square(self.scale) * (math.pi**2 / 3)

    def entropy(self) -> Float[Array, "..."]:
        """`log(scale) + 2`, in nats."""
        return jnp.log(self.scale) + 2
