"""Schedules: functions from the training step to a number, built from their configs.

They are `optax` schedules: `schedule(step)` gives a float32 scalar and works inside `jit`.
"""

from collections.abc import Callable
from functools import singledispatch

import jax.numpy as jnp
import optax
from jax.typing import ArrayLike
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import (
    ConfigError,
    ConstantScheduleConfig,
    CyclicalScheduleConfig,
    ExponentialScheduleConfig,
    LinearScheduleConfig,
    PiecewiseScheduleConfig,
    ScheduleConfig,
    WarmupCosineScheduleConfig,
)

Schedule = Callable[[ArrayLike], Float[Array, ""]]


@singledispatch
def make_schedule(config: ScheduleConfig, num_steps: int | None = None) -> Schedule:
    """The function that a schedule's config describes.

    Args:
        config: which schedule.
        num_steps: length of the training run, for configs that leave their own length open.

    Returns:
        A function of the step (an integer scalar) to a float32 scalar.
    """
    raise LookupError(f"no schedule is registered for {type(config).__name__}; use @make_schedule.register")


@make_schedule.register
def _(config: ConstantScheduleConfig, num_steps: int | None = None) -> Schedule:
    return lambda step: jnp.full(jnp.shape(step), config.value, jnp.float32)


@make_schedule.register
def _(config: LinearScheduleConfig, num_steps: int | None = None) -> Schedule:
    length = _length(config, num_steps)

    def schedule(step: ArrayLike) -> Array:
        progress = jnp.clip((jnp.asarray(step, jnp.float32) - config.delay_steps) / length, 0.0, 1.0)
        return config.start + (config.end - config.start) * progress

    return schedule


@make_schedule.register
def _(config: CyclicalScheduleConfig, num_steps: int | None = None) -> Schedule:
    ramp = max(config.ramp_fraction * config.period_steps, 1e-6)

    def schedule(step: ArrayLike) -> Array:
        step = jnp.asarray(step)
        position = jnp.asarray(step % config.period_steps, jnp.float32)
        value = config.start + (config.end - config.start) * jnp.clip(position / ramp, 0.0, 1.0)
        if config.num_cycles is None:
            return value
        return jnp.where(step < config.num_cycles * config.period_steps, value, config.end)

    return schedule


@make_schedule.register
def _(config: WarmupCosineScheduleConfig, num_steps: int | None = None) -> Schedule:
    length = _length(config, num_steps)
    warmup = min(round(config.warmup_fraction * length), length - 1)
    decay = optax.cosine_decay_schedule(1.0, length - warmup)

    def schedule(step: ArrayLike) -> Array:
        step = jnp.asarray(step, jnp.float32)
        decayed = config.end + (config.peak - config.end) * decay(step - warmup)
        # Step 0 already moves: the warm-up reaches the peak after `warmup` updates.
        return jnp.where(step < warmup, config.peak * (step + 1) / max(warmup, 1), decayed)

    return schedule


@make_schedule.register
def _(config: ExponentialScheduleConfig, num_steps: int | None = None) -> Schedule:
    def schedule(step: ArrayLike) -> Array:
        factors = jnp.asarray(step, jnp.float32) / config.decay_steps
        return jnp.maximum(config.start * config.decay_rate**factors, config.end)

    return schedule


@make_schedule.register
def _(config: PiecewiseScheduleConfig, num_steps: int | None = None) -> Schedule:
    boundaries, values = jnp.asarray(config.boundaries, jnp.int32), jnp.asarray(config.values, jnp.float32)
    return lambda step: values[jnp.searchsorted(boundaries, step, side="right")]


def _length(config: LinearScheduleConfig | WarmupCosineScheduleConfig, num_steps: int | None) -> int:
    length = config.num_steps or num_steps
    if length is None:
        raise ConfigError(
            "`num_steps` of this schedule must be given: the length of the run is not known here"
        )
    return length
