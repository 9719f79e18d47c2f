"""Modified Bessel functions of the first kind, for densities on circles and spheres.

For an order v >= 0, let h_v(x) = Gamma(v + 1) (2 / x)^v I_v(x), which is 1 at x = 0 and is the mean of `exp(x t)` for a
coordinate t of a uniform point on the sphere in 2 v + 2 dimensions. What overflows is taken out: here is
`log(h_v(x) exp(-x))`, in float32 as precise for x = 1e-6 as for 1e6.

1. At a large order, Debye's uniform expansion (Olver 1997, Asymptotics and Special Functions, chapter 10, section 7;
   DLMF 10.41.3), written with w = sqrt(v^2 + x^2) so that nothing cancels.
2. Down from there by ratios s_v = h_{v+1} / h_v, which follow from the recurrence of I_v and are stable downwards:
   s_{v-1} = 1 / (1 + x^2 s_v / (4 v (v + 1))).
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.special import derivative, stirling_remainder

# The expansion is used from this order on; the ratios begin as many orders above it.
_LARGE_ORDER = 12.0

Entries = Float[Array, "..."]


def log_scaled_bessel(order: float, x: Entries) -> Entries:
    """`log(Gamma(v + 1) (2 / x)^v I_v(x) exp(-x))`, of order v.

    Args:
        order: v, at least 0.
        x: at least 0.
    """
    num_steps = max(0, int(_LARGE_ORDER - order) + 1)
    top = float(order + num_steps)
    ratios = _debye_ratio(top + num_steps, x)
    excess, rest = _debye(top, x)
    # Both the ratios and the powers of the excess span many orders of magnitude, their products do not.
    product = jnp.ones_like(x)
    for step in range(2 * num_steps - 1, -1, -1):
        v = order + step + 1
        ratios = 1 / (1 + jnp.square(x / 2) * ratios / (v * (v + 1)))
        if step < num_steps:
            product = product * ratios * (1 + excess)
    return rest - order * jnp.log1p(excess) - jnp.log(product)


def _debye(v: float, x: Array) -> tuple[Array, Array]:
    """The uniform expansion as `rest - v log(1 + excess)`; the logarithm of its series is a series, too."""
    w, p = _root(v, x)
    excess = jnp.square(x) / (w + v)  # w - v
    q = p * p
    series = p * (3 - 5 * q) / (24 * v)
    series = series + q * (1 - q * (6 - 5 * q)) / (16 * v**2)
    series = series + p * q * (375 - q * (4779 - q * (9945 - 5525 * q))) / (5760 * v**3)
    series = series + q * q * (13 - q * (284 - q * (1062 - q * (1356 - 565 * q)))) / (128 * v**4)
    leading = -v * (excess + x) / (w + x) - 0.5 * jnp.log1p(excess / v)
    return excess / (2 * v), leading + stirling_remainder(jnp.full_like(x, v)) + series


def _debye_ratio(v: float, x: Array) -> Array:
    """`h_{v+1} / h_v`, from the derivative of the uniform expansion."""
    w, p = _root(v, x)
    q = p * p
    slope = (1 - 5 * q) / (8 * v) + p * (1 - q * (12 - 15 * q)) / (8 * v**2)
    return 2 * (v + 1) * (1 / (w + v) - (0.5 + p * slope) / jnp.square(w))


def _root(v: float, x: Array) -> tuple[Array, Array]:
    w = jnp.sqrt(jnp.square(x) + v**2)
    return w, v / w


def one_minus_mean_resultant(order: float, x: Entries) -> Entries:
    """`1 - I_{v+1}(x) / I_v(x)`: how far the mean of a von Mises-Fisher distribution is from the sphere.

    It is minus the derivative of `log_scaled_bessel`, and keeps its relative precision for large x.
    """
    return -derivative(lambda x: log_scaled_bessel(order, x), x)
