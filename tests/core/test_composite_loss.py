"""Weighted sums of losses: values, schedules of the step, transformations, bad input."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import ConfigError, LinearScheduleConfig
from artifex.generative_models.core.losses import CompositeLoss, WeightedLoss, l2, mae, mse
from artifex.generative_models.core.trainable import partition_trainable

PREDICTION, TARGET = jnp.array([1.0, 5.0]), jnp.array([0.0, 2.0])  # mse 5, mae 2


def _loss():
    return CompositeLoss(
        [
            WeightedLoss(mse, weight=1.0, name="reconstruction"),
            WeightedLoss(mae, weight=LinearScheduleConfig(start=0.0, end=1.0, num_steps=10), name="warm"),
            WeightedLoss(mae, weight=lambda step: 2.0 * (step >= 3), name="late"),
        ]
    )


@pytest.mark.parametrize(
    ("step", "total"), [(0, 5.0), (3, 5.0 + 0.6 + 4.0), (jnp.int32(10), 5.0 + 2.0 + 4.0)]
)
def test_total_and_parts(step, total):
    output = _loss()(PREDICTION, TARGET, step=step)
    np.testing.assert_allclose(output.total, total, rtol=1e-6)
    assert {name: float(value) for name, value in output.parts.items()} == {
        "reconstruction": 5.0,
        "warm": 2.0,
        "late": 2.0,
    }
    np.testing.assert_allclose(
        sum(output.weights[n] * output.parts[n] for n in output.parts), total, rtol=1e-6
    )


def test_arguments_pass_through():
    loss = CompositeLoss(
        [
            WeightedLoss(lambda prediction, target, model: mse(prediction, target), name="reconstruction"),
            WeightedLoss(lambda prediction, target, model: l2(model), weight=0.1, name="decay"),
        ]
    )
    output = loss(PREDICTION, TARGET, model={"weight": jnp.array([3.0])})
    np.testing.assert_allclose(output.total, 5.9, rtol=1e-6)
    np.testing.assert_allclose(WeightedLoss(mse, weight=2, name="a")(PREDICTION, TARGET), 10.0)


def test_jit_grad_and_vmap():
    loss = _loss()
    gradient = jax.jit(jax.grad(lambda p, step: loss(p, TARGET, step=step).total))(PREDICTION, 10)
    np.testing.assert_allclose(
        gradient, (PREDICTION - TARGET) + 1.5 * jnp.sign(PREDICTION - TARGET), rtol=1e-6
    )
    rows = jnp.stack([PREDICTION, TARGET])
    totals = jax.vmap(lambda p: loss(p, TARGET, step=3).total)(rows)
    np.testing.assert_allclose(totals, [9.6, 0.0], rtol=1e-6)


def test_values_of_weights_do_not_retrace():
    traces = []

    @eqx.filter_jit
    def total(loss, prediction, step):
        traces.append(1)
        return loss(prediction, TARGET, step=step).total

    for weight in (1.0, 2, np.float32(3.0), jnp.array(4.0)):
        # The schedule's config is made anew each time: it compares by value.
        schedule = LinearScheduleConfig(num_steps=10)
        loss = CompositeLoss([WeightedLoss(mse, weight, name="a"), WeightedLoss(mae, schedule, name="b")])
        np.testing.assert_allclose(
            total(loss, PREDICTION, jnp.int32(5)), 5.0 * float(weight) + 1.0, rtol=1e-6
        )
    assert len(traces) == 1


def test_weights_are_not_trained_and_modules_inside_are():
    linear = eqx.nn.Linear(2, 1, key=jax.random.key(0))
    loss = CompositeLoss([WeightedLoss(lambda x: 0.0, name="a"), WeightedLoss(linear, weight=2.0, name="b")])
    trainable, _ = partition_trainable(loss)
    assert len(jax.tree.leaves(trainable)) == 2


def test_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        _loss().losses[0].weight = 3.0


def test_bad_input():
    with pytest.raises(ValueError, match=r"\['a'\] more than once"):
        CompositeLoss([WeightedLoss(mse, name="a"), WeightedLoss(mae, name="a")])
    with pytest.raises(ValueError, match="at least one part"):
        CompositeLoss([])
    with pytest.raises(ValueError, match="call the loss with `step`"):
        _loss()(PREDICTION, TARGET)
    with pytest.raises(ValueError, match=r"'a' must be a scalar.*reduce='mean'"):
        WeightedLoss(lambda p, t: p - t, name="a")(PREDICTION, TARGET)
    with pytest.raises(ValueError, match="must be finite"):
        WeightedLoss(mse, weight=float("nan"), name="a")
    with pytest.raises(ValueError, match="must not be empty"):
        WeightedLoss(mse, name="")
    with pytest.raises(ConfigError, match="`num_steps`"):
        WeightedLoss(mse, weight=LinearScheduleConfig(), name="a")
    with pytest.raises((TypeError, ValueError)):
        WeightedLoss(mse, weight="large", name="a")
    with pytest.raises((TypeError, ValueError)):
        CompositeLoss([mse])
