"""Schedules at steps whose values were worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    ConfigError,
    ConstantScheduleConfig,
    CyclicalScheduleConfig,
    ExponentialScheduleConfig,
    LinearScheduleConfig,
    PiecewiseScheduleConfig,
    ScheduleConfig,
    WarmupCosineScheduleConfig,
    config,
)
from artifex.generative_models.core.schedules import make_schedule

LAST = np.iinfo(np.int32).max  # the step of a model whose loss is asked for without one

CASES = {
    "constant": (ConstantScheduleConfig(value=0.3), {0: 0.3, 7: 0.3, LAST: 0.3}),
    "linear": (
        LinearScheduleConfig(start=1.0, end=3.0, num_steps=10, delay_steps=5),
        {0: 1.0, 5: 1.0, 10: 2.0, 15: 3.0, 16: 3.0, LAST: 3.0},
    ),
    "linear_down": (LinearScheduleConfig(start=1.0, end=0.0, num_steps=4), {0: 1.0, 1: 0.75, 4: 0.0, 9: 0.0}),
    "cyclical": (
        CyclicalScheduleConfig(start=0.0, end=2.0, period_steps=10, ramp_fraction=0.5),
        {0: 0.0, 1: 0.4, 5: 2.0, 9: 2.0, 10: 0.0, 12: 0.8, 1005: 2.0},
    ),
    "cyclical_twice": (
        CyclicalScheduleConfig(period_steps=10, ramp_fraction=1.0, num_cycles=2),
        {0: 0.0, 5: 0.5, 9: 0.9, 10: 0.0, 19: 0.9, 20: 1.0, 25: 1.0, LAST: 1.0},
    ),
    "warmup_cosine": (
        WarmupCosineScheduleConfig(peak=2.0, end=1.0, warmup_fraction=1 / 3, num_steps=12),
        # The decay has 8 steps: half of it at step 8, a quarter at step 6: 1 + (1 + cos(pi / 4)) / 2.
        {0: 0.5, 1: 1.0, 3: 2.0, 4: 2.0, 6: 1.0 + (1 + 0.5**0.5) / 2, 8: 1.5, 12: 1.0, 30: 1.0, LAST: 1.0},
    ),
    "cosine": (WarmupCosineScheduleConfig(num_steps=4), {0: 1.0, 2: 0.5, 4: 0.0, 5: 0.0}),
    "exponential": (
        ExponentialScheduleConfig(start=8.0, decay_rate=0.5, decay_steps=10, end=1.5),
        {0: 8.0, 5: 8.0 * 0.5**0.5, 10: 4.0, 20: 2.0, 30: 1.5, LAST: 1.5},
    ),
    "exponential_growth": (
        ExponentialScheduleConfig(start=1.0, decay_rate=2.0, decay_steps=10),
        {0: 1.0, 10: 2.0, 30: 8.0},
    ),
    "piecewise": (
        PiecewiseScheduleConfig(boundaries=(3, 6), values=(1.0, 0.5, 0.1)),
        {0: 1.0, 2: 1.0, 3: 0.5, 5: 0.5, 6: 0.1, LAST: 0.1},
    ),
    "piecewise_without_boundaries": (PiecewiseScheduleConfig(), {0: 1.0, 100: 1.0}),
}


@pytest.mark.parametrize("name", CASES)
def test_values(name):
    schedule_config, expected = CASES[name]
    schedule = make_schedule(schedule_config)
    traced = jax.jit(schedule)
    for step, value in expected.items():
        np.testing.assert_allclose(
            traced(jnp.int32(step)), value, rtol=1e-5, atol=1e-6, err_msg=f"step {step}"
        )
    first = next(iter(expected))
    for step in (first, jnp.int32(first)):
        got = schedule(step)
        assert got.shape == () and got.dtype == jnp.float32
        np.testing.assert_allclose(got, expected[first], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("open_length", [LinearScheduleConfig(), WarmupCosineScheduleConfig()])
def test_length_of_the_run(open_length):
    """A schedule that leaves its length open takes that of the run; its own one comes first."""
    assert float(make_schedule(open_length, 8)(4)) == pytest.approx(0.5)
    own = open_length.replace(num_steps=4)
    assert float(make_schedule(own, 8)(2)) == pytest.approx(0.5)
    with pytest.raises(ConfigError, match="`num_steps`"):
        make_schedule(open_length)


def test_warmup_of_any_run():
    """The warm-up shrinks with the run, and always leaves a step for the decay."""
    config = WarmupCosineScheduleConfig(warmup_fraction=0.1)
    for length, warmup in ((1000, 100), (50, 5), (4, 0), (1, 0)):
        schedule = make_schedule(config, length)
        values = np.asarray(schedule(np.arange(warmup)))
        np.testing.assert_allclose(values, (np.arange(warmup) + 1) / max(warmup, 1), rtol=1e-6)
        assert schedule(warmup) == 1.0
    nearly_all = make_schedule(config.replace(warmup_fraction=0.99), 3)
    np.testing.assert_allclose([nearly_all(step) for step in range(4)], [0.5, 1.0, 1.0, 0.0], atol=1e-6)


def test_bad_schedules():
    with pytest.raises(ConfigError, match=r"warmup_fraction: must be less than 1; got 1\.0"):
        WarmupCosineScheduleConfig(warmup_fraction=1.0)
    with pytest.raises(ConfigError, match="one more entry"):
        PiecewiseScheduleConfig(boundaries=(3,), values=(1.0,))
    with pytest.raises(ConfigError, match="must rise"):
        PiecewiseScheduleConfig(boundaries=(3, 3), values=(1.0, 2.0, 3.0))


def test_a_schedule_of_ones_own():
    @config("test_schedules_square")
    class Square(ScheduleConfig):
        factor: float = 1.0

    with pytest.raises(LookupError, match=r"make_schedule\.register"):
        make_schedule(Square())
    make_schedule.register(Square)(lambda config, num_steps=None: lambda step: config.factor * step**2)
    assert make_schedule(Square(factor=2.0))(3) == 18.0
