"""The normal distribution on a grid, as the last step of a diffusion model gives it."""

import jax.numpy as jnp
from jax.scipy.special import log_ndtr
from jaxtyping import Array, Float

Entries = Float[Array, "..."]


def discretized_normal_log_prob(
    value: Entries, loc: Entries, scale: Entries, *, low: float, high: float, num_levels: int
) -> Entries:
    """Log-probability of each entry in nats.

    With grid points at a spacing d, P(x_j) is what N(loc, scale^2) has between x_j - d/2 and x_j + d/2; the two ends
    take the tails, so the sum is exactly 1. Entries off the grid count as the nearest point.
    Source: Ho et al. 2020, arXiv:2006.11239, equation 13.

    Args:
        value: entries on the grid.
        loc: means.
        scale: standard deviations, positive.
        low: lowest grid point.
        high: highest grid point.
        num_levels: number of grid points.
    """
    spacing = (high - low) / (num_levels - 1)
    index = jnp.clip(jnp.round((value - low) / spacing), 0, num_levels - 1)
    centred = low + index * spacing - loc
    # Of a symmetric distribution, the interval on the side where both ends have small probabilities to lie below.
    side = jnp.where(centred > 0, -1.0, 1.0)
    upper, lower = (side * centred + 0.5 * spacing) / scale, (side * centred - 0.5 * spacing) / scale
    log_upper, log_lower = log_ndtr(upper), log_ndtr(lower)
    inside = log_upper + jnp.log(-jnp.expm1(jnp.minimum(log_lower - log_upper, -1e-7)))
    first = log_ndtr((centred + 0.5 * spacing) / scale)
    last = log_ndtr((0.5 * spacing - centred) / scale)
    return jnp.where(index == 0, first, jnp.where(index == num_levels - 1, last, inside))
