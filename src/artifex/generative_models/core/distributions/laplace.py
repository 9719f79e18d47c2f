"""The Laplace distribution: independent real entries whose absolute errors count.

`distrax.Laplace` is the same, but its samples need ranks to be promoted, which the strict setting forbids.
"""

from typing import Any

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Laplace(distrax.Distribution):
    """Independent entries with density `exp(-|x - loc| / scale) / (2 scale)`, all of them batch axes.

    Args:
        loc: means.
        scale: mean absolute deviations, positive, same shape; the standard deviation is `sqrt(2) scale`.
    """

    def __init__(self, loc: Float[Array, "..."], scale: Float[Array, "..."]):
        self.loc = loc
        self.scale = scale

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Scalars."""
        return ()

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of `loc`."""
        return self.loc.shape

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-density in nats."""
        return -jnp.abs(value - self.loc) / self.scale - jnp.log(2 * self.scale)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        noise = jax.random.laplace(key, (n, *self.loc.shape), self.loc.dtype)
        return self.loc[None] + self.scale[None] * noise

    def mean(self) -> Float[Array, "..."]:
        """`loc`."""
        return self.loc

    def mode(self) -> Float[Array, "..."]:
        """`loc`."""
        return self.loc
