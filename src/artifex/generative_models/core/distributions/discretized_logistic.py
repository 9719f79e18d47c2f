"""The logistic distribution on a grid: what 8-bit images and quantized audio follow.

With grid points x_0 = low, ..., x_{L-1} = high at a spacing d, and F the logistic cumulative distribution,

    P(x_j) = F(x_j + d/2) - F(x_j - d/2),    P(x_0) = F(x_0 + d/2),    P(x_{L-1}) = 1 - F(x_{L-1} - d/2),

so the two ends take the tails and the sum is exactly 1. Source: Salimans et al. 2017 (PixelCNN++),
arXiv:1701.05517, equation 2. The log of a difference of sigmoids is computed by the identity

    sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(-(b - a))),

which neither cancels nor underflows in float32, so the paper's approximation in the tails is not needed.
"""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractEntries

# A value may be this far from a grid point, in units of the spacing: room for rounding, none for another grid.
_TOLERANCE = 0.05


class DiscretizedLogistic(AbstractEntries):
    """Independent entries on a grid, all of them batch axes; `discretized_logistic` makes them event axes.

    Args:
        loc: centre of each entry's logistic distribution, in units of the data.
        scale: its scale, positive, same shape; the standard deviation is `scale * pi / sqrt(3)`.
        low: lowest grid point.
        high: highest grid point.
        num_levels: number of grid points, at least 2.
    """

    loc: Float[Array, "..."]
    scale: Float[Array, "..."]
    low: float = eqx.field(static=True)
    high: float = eqx.field(static=True)
    num_levels: int = eqx.field(static=True)

    def __init__(
        self,
        loc: Float[Array, "..."],
        scale: Float[Array, "..."],
        low: float,
        high: float,
        num_levels: int,
    ):
        if not low < high:
            raise ValueError(f"`low` must be less than `high`; got {low} and {high}")
        if num_levels < 2:
            raise ValueError(f"a grid has at least 2 levels; got {num_levels}")
        self.loc = loc
        self.scale = scale
        self.low = float(low)
        self.high = float(high)
        self.num_levels = num_levels

    @property
    def spacing(self) -> float:
        """Distance of neighbouring grid points."""
        return (self.high - self.low) / (self.num_levels - 1)

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-probability in nats; `-inf` where a value is not on the grid."""
        position = (value - self.low) / self.spacing
        index = jnp.round(position)
        centred = index * self.spacing + self.low - self.loc
        below_upper_edge = jax.nn.log_sigmoid((centred + self.spacing / 2) / self.scale)
        above_lower_edge = jax.nn.log_sigmoid((self.spacing / 2 - centred) / self.scale)
        width = jnp.log(-jnp.expm1(-self.spacing / self.scale))
        log_prob = jnp.where(
            index == 0,
            below_upper_edge,
            jnp.where(
                index == self.num_levels - 1, above_lower_edge, below_upper_edge + above_lower_edge + width
            ),
        )
        inside = (index >= 0) & (index < self.num_levels) & (jnp.abs(position - index) < _TOLERANCE)
        return jnp.where(inside, log_prob, -jnp.inf)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        noise = jax.random.logistic(key, (n, *self.loc.shape), self.loc.dtype)
        return self._to_grid(self.loc[None] + self.scale[None] * noise)

    def distance_to_support(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Distance to the nearest grid point; 0 for what rounding explains."""
        distance = jnp.abs(value - self._to_grid(value))
        distance = jnp.where(distance < _TOLERANCE * self.spacing, 0.0, distance)
        return jnp.where(jnp.isnan(value), jnp.inf, distance)

    def mean(self) -> Float[Array, "..."]:
        """Exact mean: `low` plus the spacing times the sum over grid edges of the probability to lie above."""

        def add(total: Array, edge: Array) -> tuple[Array, None]:
            return total + jax.nn.sigmoid((self.loc - edge) / self.scale), None

        # A scan, because all levels of a batch of images at once would not fit in memory.
        edges = self.low + self.spacing * (jnp.arange(self.num_levels - 1, dtype=self.loc.dtype) + 0.5)
        total, _ = jax.lax.scan(add, jnp.zeros_like(self.loc), edges)
        return self.low + self.spacing * total

    def variance(self) -> Float[Array, "..."]:
        """Exact variance: a sum over the grid."""
        mean = self.mean()
        return self._sum_over_grid(lambda value, log_prob: jnp.exp(log_prob) * jnp.square(value - mean))

    def entropy(self) -> Float[Array, "..."]:
        """Exact entropy in nats: a sum over the grid."""
        return self._sum_over_grid(lambda value, log_prob: -jnp.exp(log_prob) * log_prob)

    def _sum_over_grid(self, term: Callable[[Array, Array], Array]) -> Array:
        def add(total: Array, index: Array) -> tuple[Array, None]:
            value = jnp.full_like(self.loc, self.low + index * self.spacing)
            return total + term(value, self.log_prob(value)), None

        indices = jnp.arange(self.num_levels, dtype=self.loc.dtype)
        return jax.lax.scan(add, jnp.zeros_like(self.loc), indices)[0]

    def mode(self) -> Float[Array, "..."]:
        """The grid point nearest to `loc`; an end is taken from outside the grid too.

        Where the scale is so large that the tails outweigh the middle, an end is the true mode; this is not it.
        """
        return self._to_grid(self.loc)

    def _to_grid(self, value: Array) -> Array:
        index = jnp.clip(jnp.round((value - self.low) / self.spacing), 0, self.num_levels - 1)
        return index * self.spacing + self.low
