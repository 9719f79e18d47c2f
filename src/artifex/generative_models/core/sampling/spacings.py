"""Where a sampler's steps lie: an explicit array of times, from noise to data.

Every spacing gives `num_steps + 1` strictly falling times, the last of them 0. The first is the path's `t_max`, or
what the spacing's config says: a largest sigma, or the levels of a table.
"""

from collections.abc import Sequence
from functools import singledispatch

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import (
    KarrasSpacingConfig,
    LeadingSpacingConfig,
    LogSNRSpacingConfig,
    PowerSpacingConfig,
    SpacingConfig,
    TrailingSpacingConfig,
    UniformSpacingConfig,
)
from artifex.generative_models.core.protocols import GaussianPath


@singledispatch
def make_times(config: SpacingConfig, path: GaussianPath, num_steps: int) -> Float[Array, " stops"]:
    """Times at which a sampler of `num_steps` steps stops, shape `(num_steps + 1,)`.

    Args:
        config: the spacing.
        path: what turns sigma into time.
        num_steps: number of steps, at least 1.

    Raises:
        ValueError: fewer than one step, or more than a table has levels.
    """
    raise LookupError(f"no spacing is registered for {type(config).__name__}; use @make_times.register")


@make_times.register
def _(config: UniformSpacingConfig, path: GaussianPath, num_steps: int) -> Array:
    return _from_zero(path.t_max * _fractions(num_steps))


@make_times.register
def _(config: PowerSpacingConfig, path: GaussianPath, num_steps: int) -> Array:
    return _from_zero(path.t_max * _fractions(num_steps) ** config.exponent)


@make_times.register
def _(config: KarrasSpacingConfig, path: GaussianPath, num_steps: int) -> Array:
    high, low = _sigma_range(config, path)
    root = 1.0 / config.rho
    sigma = (low**root + _fractions(num_steps - 1) * (high**root - low**root)) ** config.rho
    return _then_data(path.time(-2.0 * jnp.log(sigma)), num_steps)


@make_times.register
def _(config: LogSNRSpacingConfig, path: GaussianPath, num_steps: int) -> Array:
    high, low = _sigma_range(config, path)
    log_sigma = jnp.log(low) + _fractions(num_steps - 1) * (jnp.log(high) - jnp.log(low))
    return _then_data(path.time(-2.0 * log_sigma), num_steps)


@make_times.register
def _(config: TrailingSpacingConfig, path: GaussianPath, num_steps: int) -> Array:
    _check_levels(num_steps, config.num_levels)
    levels = np.round(config.num_levels * np.arange(num_steps, -1, -1) / num_steps)
    return jnp.asarray(levels / config.num_levels, jnp.float32)


@make_times.register
def _(config: LeadingSpacingConfig, path: GaussianPath, num_steps: int) -> Array:
    _check_levels(num_steps, config.num_levels)
    levels = (config.num_levels // num_steps) * np.arange(num_steps)[::-1] + config.offset + 1
    if not 0 < levels[-1] <= levels[0] <= config.num_levels:
        raise ValueError(
            f"with `offset` {config.offset} the levels of {num_steps} steps leave the table of {config.num_levels}; "
            "use 0 or 1"
        )
    return jnp.asarray(np.append(levels, 0) / config.num_levels, jnp.float32)


def checked_times(times: Sequence[float] | Float[Array, " stops"]) -> Float[Array, " stops"]:
    """Times at which sampling stops, as an array.

    Raises:
        ValueError: they do not fall, or not from at most 1 to 0.
    """
    values = np.asarray(times, np.float32)
    if (
        values.ndim != 1
        or len(values) < 2
        or values[0] > 1
        or values[-1] != 0
        or (np.diff(values) >= 0).any()
    ):
        raise ValueError(
            f"`times` must fall from at most 1 to 0, such as [1.0, 0.5, 0.0]; got {values.tolist()}"
        )
    return jnp.asarray(values)


def _fractions(num_steps: int) -> Array:
    """From 1 down to 0 in equal steps; from one number alone: 1."""
    if num_steps < 0:
        raise ValueError("`num_steps` must be at least 1")
    return jnp.linspace(1.0, 0.0, num_steps + 1)


def _from_zero(times: Array) -> Array:
    if len(times) < 2:
        raise ValueError(f"`num_steps` must be at least 1; got {len(times) - 1}")
    return times


def _then_data(times: Array, num_steps: int) -> Array:
    return jnp.append(times[:num_steps], 0.0)


def _sigma_range(
    config: KarrasSpacingConfig | LogSNRSpacingConfig, path: GaussianPath
) -> tuple[Array, float]:
    """Largest and smallest sigma / alpha: of the config, where the path has that much noise."""
    first = jnp.exp(-0.5 * path.log_snr(jnp.float32(path.t_max)))
    return jnp.minimum(first, config.sigma_max), config.sigma_min


def _check_levels(num_steps: int, num_levels: int) -> None:
    if not 1 <= num_steps <= num_levels:
        raise ValueError(
            f"`num_steps` must lie in [1, {num_levels}], the levels of the table; got {num_steps}"
        )
