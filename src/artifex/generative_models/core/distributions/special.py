"""Functions around the gamma function that do not cancel in float32.

By Stirling's series,

    log Gamma(x) = (x - 1/2) log x - x + log(2 pi) / 2 + D(x),    D(x) = 1/(12 x) - 1/(360 x^3) + ...,

with a small remainder D. In log-densities the large terms cancel by algebra and the remainders are left; subtracting
values of `gammaln` would lose them: log Gamma(1e6) is 1.3e7, where float32 numbers are 1 apart.
Source: Loader 2000, Fast and Accurate Computation of Binomial Probabilities (its `stirlerr` and `bd0`).
"""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln, xlogy
from jaxtyping import Array, Float

HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)
# From here on four terms of the series are exact to 1e-11; below, `gammaln` is small enough to be subtracted.
STIRLING_START = 8.0

Entries = Float[Array, "..."]


def stirling_remainder(x: Entries) -> Entries:
    """D(x) of the module's docstring, for positive x."""
    is_large = x >= STIRLING_START
    inverse = 1 / jnp.where(is_large, x, STIRLING_START)
    square = inverse * inverse
    series = inverse * (1 / 12 - square * (1 / 360 - square * (1 / 1260 - square / 1680)))
    small = jnp.where(is_large, 1.0, x)
    return jnp.where(
        is_large, series, gammaln(small) - (small - 0.5) * jnp.log(small) + small - HALF_LOG_2_PI
    )


def stirling_slope(x: Entries) -> Entries:
    """Derivative of D(x): `digamma(x) - log(x) + 1 / (2 x)`."""
    is_large = x >= STIRLING_START
    inverse = 1 / jnp.where(is_large, x, STIRLING_START)
    square = inverse * inverse
    series = -square * (1 / 12 - square * (1 / 120 - square * (1 / 252 - square / 240)))
    small = jnp.where(is_large, 1.0, x)
    return jnp.where(is_large, series, digamma(small) - jnp.log(small) + 0.5 / small)


def deviance(x: Entries, mean: Entries) -> Entries:
    """`x log(x / mean) + mean - x`, for x >= 0 and mean >= 0: 0 where they are equal, infinite where only mean is 0.

    Near equality the three terms cancel, so there it is the series of Loader 2000: with v = (x - mean) / (x + mean),
    (x - mean) v + 2 x (v^3 / 3 + v^5 / 5 + ...).
    """
    total = x + mean
    difference = x - mean
    is_close = jnp.abs(difference) < 0.1 * total
    v = jnp.where(is_close, difference, 0.0) / jnp.where(is_close, total, 1.0)
    square = v * v
    terms = 0.0
    for power in (13, 11, 9, 7, 5, 3):
        terms = 1 / power + square * terms
    series = difference * v + 2 * x * v * square * terms
    far_x, far_mean = jnp.where(is_close, 1.0, x), jnp.where(is_close, 2.0, mean)
    return jnp.where(is_close, series, xlogy(far_x, far_x) - xlogy(far_x, far_mean) - difference)


def log_beta(a: Entries, b: Entries) -> Entries:
    """Logarithm of the beta function, for positive arguments of one shape."""
    total = a + b
    remainders = stirling_remainder(a) + stirling_remainder(b) - stirling_remainder(total)
    halves = 0.5 * (jnp.log(total) - jnp.log(a) - jnp.log(b)) + HALF_LOG_2_PI
    return remainders + halves - a * jnp.log1p(b / a) - b * jnp.log1p(a / b)


def log_gamma_half_step(x: Entries) -> Entries:
    """`log Gamma(x + 1/2) - log Gamma(x)`, for positive x."""
    remainders = stirling_remainder(x + 0.5) - stirling_remainder(x)
    return remainders + x * jnp.log1p(0.5 / x) - 0.5 + 0.5 * jnp.log(x)


def derivative(function: Callable[[Array], Array], x: Entries) -> Entries:
    """Derivative of an elementwise function."""
    return jax.jvp(function, (x,), (jnp.ones_like(x),))[1]


def entropy_term(x: Entries) -> Entries:
    """`log Gamma(x) - (x - 1) digamma(x) + x`, in entropies of gamma, beta and Dirichlet distributions."""
    is_large = x >= STIRLING_START
    large = jnp.where(is_large, x, STIRLING_START)
    small = jnp.where(is_large, 1.0, x)
    by_series = (
        0.5 * jnp.log(large)
        + HALF_LOG_2_PI
        + stirling_remainder(large)
        + 0.5
        - 0.5 / large
        - (large - 1) * stirling_slope(large)
    )
    return jnp.where(is_large, by_series, gammaln(small) - (small - 1) * digamma(small) + small)


def log_gamma_bregman(q: Entries, p: Entries) -> Entries:
    """`log Gamma(q) - log Gamma(p) - digamma(p) (q - p)`, of which divergences of those distributions consist."""
    step = q - p
    ratio = step / p
    halves = 0.5 * (ratio - jnp.log1p(ratio))
    remainders = stirling_remainder(q) - stirling_remainder(p) - stirling_slope(p) * step
    return deviance(q, p) + halves + remainders
