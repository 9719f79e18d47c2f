"""Where on the path the examples of a training batch lie.

A distribution is its quantile function: times are quantile(u) with u uniform, drawn one by one or, with low
discrepancy, as one random shift of a grid, u_i = (u_0 + i / n) mod 1, so that a batch covers all times evenly.
"""

from collections.abc import Callable
from functools import singledispatch

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import (
    LevelTimesConfig,
    LogitNormalTimesConfig,
    LogNormalSigmaTimesConfig,
    TimeDistributionConfig,
    UniformTimesConfig,
)
from artifex.generative_models.models.diffusion.paths import AbstractPath

# The least time of a training example: below, x_t is the data to float32 round-off on the usual paths.
MIN_TIME = 1e-5
_UNIT = 1e-6  # normal quantiles of this and of one minus this are +-4.75


def draw_times_batch(
    config: TimeDistributionConfig, path: AbstractPath, num: int, *, key: Key[Array, ""]
) -> Float[Array, " num"]:
    """Times of a batch, in [1e-5, path.t_max].

    Args:
        config: their distribution.
        path: what turns sigma into time.
        num: how many.
        key: randomness.
    """
    u = draw_uniform_batch(num, low_discrepancy=config.low_discrepancy, key=key)
    return jnp.clip(quantile(config)(u, path), MIN_TIME, path.t_max)


def draw_uniform_batch(num: int, *, low_discrepancy: bool, key: Key[Array, ""]) -> Float[Array, " num"]:
    """Uniform numbers in [0, 1): one by one, or spread evenly with one random shift for all.

    Args:
        num: how many.
        low_discrepancy: whether they are spread evenly.
        key: randomness.
    """
    if low_discrepancy:
        return (jax.random.uniform(key) + jnp.arange(num) / num) % 1.0
    return jax.random.uniform(key, (num,))


Quantile = Callable[[Float[Array, " num"], AbstractPath], Float[Array, " num"]]


@singledispatch
def quantile(config: TimeDistributionConfig) -> Quantile:
    """The function from uniform numbers to times."""
    raise LookupError(f"no times are registered for {type(config).__name__}; use @quantile.register")


@quantile.register
def _(config: UniformTimesConfig) -> Quantile:
    return lambda u, path: path.t_max * u


@quantile.register
def _(config: LevelTimesConfig) -> Quantile:
    levels = config.num_levels
    return lambda u, path: (jnp.minimum(jnp.floor(levels * u), levels - 1) + 1) / levels


@quantile.register
def _(config: LogitNormalTimesConfig) -> Quantile:
    return lambda u, path: jax.nn.sigmoid(config.mean + config.std * _normal(u))


@quantile.register
def _(config: LogNormalSigmaTimesConfig) -> Quantile:
    return lambda u, path: path.time(-2.0 * (config.mean + config.std * _normal(u)))


def _normal(u: Array) -> Array:
    return ndtri(jnp.clip(u, _UNIT, 1.0 - _UNIT))
