"""The normal distribution.

`distrax.Normal` is the same, but its log-probability of samples needs ranks to be promoted, which the strict setting
forbids.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractEntries
from artifex.generative_models.core.distributions.special import HALF_LOG_2_PI


class Normal(AbstractEntries):
    """Independent entries with density `exp(-(x - loc)^2 / (2 scale^2)) / (sqrt(2 pi) scale)`.

    Args:
        loc: means.
        scale: standard deviations, positive, same shape.
    """

    loc: Float[Array, "..."]
    scale: Float[Array, "..."]

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-density in nats."""
        return -0.5 * jnp.square((value - self.loc) / self.scale) - jnp.log(self.scale) - HALF_LOG_2_PI

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        noise = jax.random.normal(key, (n, *self.loc.shape), self.loc.dtype)
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

    def stddev(self) -> Float[Array, "..."]:
        """`scale`."""
        return self.scale

    def variance(self) -> Float[Array, "..."]:
        """`scale^2`."""
        return jnp.square(self.scale)

    def entropy(self) -> Float[Array, "..."]:
        """`log(scale) + log(2 pi e) / 2`, in nats."""
        return jnp.log(self.scale) + 0.5 + HALF_LOG_2_PI
