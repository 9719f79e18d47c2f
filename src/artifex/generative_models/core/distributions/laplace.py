"""The Laplace distribution: independent real entries whose absolute errors count.

`distrax.Laplace` is the same, but its samples need ranks to be promoted, which the strict setting forbids.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractEntries


class Laplace(AbstractEntries):
    """Independent entries with density `exp(-|x - loc| / scale) / (2 scale)`, all of them batch axes.

    Args:
        loc: means.
        scale: mean absolute deviations, positive, same shape; the standard deviation is `sqrt(2) scale`.
    """

    loc: Float[Array, "..."]
    scale: Float[Array, "..."]

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-density in nats."""
        return -jnp.abs(value - self.loc) / self.scale - jnp.log(2 * self.scale)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        noise = jax.random.laplace(key, (n, *self.loc.shape), self.loc.dtype)
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
        """`2 scale^2`."""
        return 2 * jnp.square(self.scale)

    def entropy(self) -> Float[Array, "..."]:
        """`1 + log(2 scale)`, in nats."""
        return 1 + jnp.log(2 * self.scale)
