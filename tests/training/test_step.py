"""The pure step and its compiled form, on a model whose gradient is known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.training.toy import Location, LocationConfig, toy_data

from artifex.generative_models.core.configuration import MeshConfig
from artifex.generative_models.scaling import make_mesh
from artifex.generative_models.training import init_state, make_train_step, train_step

ONE = MeshConfig(data=1)


@pytest.fixture
def model(key):
    return Location(LocationConfig(), key=key)


def one_device():
    return make_mesh(ONE, jax.devices()[:1])


def test_step_is_gradient_descent(model, key):
    """With SGD the location moves by learning rate times (mean of the data - location)."""
    x = toy_data(8)
    optimizer = optax.sgd(0.1)
    state = init_state(model, optimizer, key=key)
    new, metrics = train_step(state, {"x": x}, optimizer=optimizer)
    expected = np.asarray(model.location) + 0.1 * (x.mean(0) - np.asarray(model.location))
    np.testing.assert_allclose(new.model.location, expected, rtol=1e-6)
    loss = 0.5 * np.square(x - np.asarray(model.location)).sum(1).mean()
    np.testing.assert_allclose(metrics["loss"], loss, rtol=1e-6)
    np.testing.assert_allclose(
        metrics["grad_norm"], np.linalg.norm(x.mean(0) - np.asarray(model.location)), rtol=1e-6
    )
    assert int(new.step) == 1
    assert float(new.model.seen.value) == 8.0


def test_optimizer_never_sees_a_buffer(model, key):
    """AdamW would decay a buffer; its state must have no leaf of the buffer's."""
    optimizer = optax.adamw(0.1, weight_decay=0.5)
    state = init_state(model, optimizer, key=key)
    shapes = [leaf.shape for leaf in jax.tree.leaves(state.opt_state[0].mu)]
    assert shapes == [(3,)]
    new, _ = train_step(state, {"x": toy_data(8)}, optimizer=optimizer)
    assert float(new.model.seen.value) == 8.0


def test_average_follows_its_formula(model, key):
    """Ema <- ema + (1 - d) (p - ema) with d = min(decay, (1 + i) / (10 + i))."""
    optimizer = optax.sgd(0.1)
    state = init_state(model, optimizer, key=key, use_ema=True)
    expected = np.asarray(model.location, np.float64)
    for i in range(4):
        state, _ = train_step(state, {"x": toy_data(8)}, optimizer=optimizer, ema_decay=0.2)
        d = min(0.2, (1 + i) / (10 + i))
        expected = d * expected + (1 - d) * np.asarray(state.model.location, np.float64)
    np.testing.assert_allclose(state.ema.location, expected, rtol=1e-5)
    np.testing.assert_allclose(state.trained_model.location, expected, rtol=1e-5)
    assert float(state.trained_model.seen.value) == 32.0  # buffers are the newest ones


def test_accumulation_equals_the_whole_batch(model, key):
    """Without noise the mean of the parts' gradients is the gradient of the batch; buffers see every part."""
    optimizer = optax.sgd(0.1)
    state = init_state(model, optimizer, key=key)
    whole, metrics = train_step(state, {"x": toy_data(8)}, optimizer=optimizer)
    parts, part_metrics = train_step(state, {"x": toy_data(8)}, optimizer=optimizer, accumulate_steps=4)
    np.testing.assert_allclose(parts.model.location, whole.model.location, rtol=1e-6)
    np.testing.assert_allclose(part_metrics["loss"], metrics["loss"], rtol=1e-6)
    assert float(parts.model.seen.value) == 8.0


def test_bfloat16_keeps_float32_parameters(model, key):
    """The policy casts inside the loss; parameters, gradients and averages stay float32, and the value is close."""
    optimizer = optax.adam(0.1)
    state = init_state(model, optimizer, key=key, use_ema=True)
    full, _ = train_step(state, {"x": toy_data(8)}, optimizer=optimizer, ema_decay=0.9)
    half, metrics = train_step(
        state, {"x": toy_data(8)}, optimizer=optimizer, ema_decay=0.9, precision="bfloat16"
    )
    assert {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(half, eqx.is_inexact_array))} == {
        jnp.dtype("float32")
    }
    assert metrics["loss"].dtype == jnp.float32
    np.testing.assert_allclose(half.model.location, full.model.location, atol=1e-3)


@pytest.mark.parametrize(("policy", "count"), [("stop", 1), ("skip", 2)])
def test_a_step_that_is_not_finite_changes_nothing(model, key, policy, count):
    """NaN data leave parameters, optimizer, average and buffers alone; the count moves only when skipping."""
    optimizer = optax.adam(0.1)
    state = init_state(model, optimizer, key=key, use_ema=True)
    good, _ = train_step(state, {"x": toy_data(8)}, optimizer=optimizer, ema_decay=0.9)
    bad, metrics = train_step(
        good, {"x": np.full((8, 3), np.nan, np.float32)}, optimizer=optimizer, ema_decay=0.9, nonfinite=policy
    )
    assert float(metrics["finite"]) == 0.0
    assert int(bad.step) == count
    arrays = [
        (before, after)
        for before, after in zip(jax.tree.leaves(good), jax.tree.leaves(bad), strict=True)
        if before is not good.step and not jnp.issubdtype(before.dtype, jax.dtypes.prng_key)
    ]
    assert len(arrays) == 6  # location, buffer, two moments and their count, average
    for before, after in arrays:
        np.testing.assert_array_equal(before, after)


def test_many_steps_in_one_call_give_the_same_bits(model, key):
    """Six steps as 6 x 1 and as 1 x 6; traced once; the old state is donated."""
    optimizer = optax.adam(0.05)
    x = toy_data(48).reshape(6, 8, 3)
    state = init_state(Location(LocationConfig(noise=0.3), key=key), optimizer, key=key, use_ema=True)
    options = {"mesh": one_device(), "ema_decay": 0.9}
    single = make_train_step(state, optimizer, **options)
    one = single.place(state)
    for i in range(6):
        one, _ = single(one, {"x": jnp.asarray(x[i])})
    assert single.num_traces == 1
    chunked = make_train_step(state, optimizer, **options)
    start = chunked.place(
        init_state(Location(LocationConfig(noise=0.3), key=key), optimizer, key=key, use_ema=True)
    )
    many, metrics = chunked.run(start, {"x": x}, 0)
    assert chunked.num_traces == 1
    assert metrics["loss"].shape == (6,)
    assert start.model.location.is_deleted()
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_array_equal(
            jax.random.key_data(a) if a is one.key else a, jax.random.key_data(b) if b is many.key else b
        )


def test_fewer_steps_than_items_are_the_same_program(model, key):
    """Two of six items: the state after two, metrics of two, no second trace; a number out of range is an error."""
    optimizer = optax.adam(0.05)
    x = toy_data(48).reshape(6, 8, 3)
    step = make_train_step(init_state(model, optimizer, key=key), optimizer, mesh=one_device())
    expected, _ = step.run(step.place(init_state(model, optimizer, key=key)), {"x": x[:2]}, 0)
    traces = step.num_traces
    step.run(step.place(init_state(model, optimizer, key=key)), {"x": x}, 0)
    some, metrics = step.run(step.place(init_state(model, optimizer, key=key)), {"x": x}, 0, num_steps=2)
    assert step.num_traces == traces + 1
    assert int(some.step) == 2
    np.testing.assert_array_equal(metrics["finite"], [1, 1, 0, 0, 0, 0])
    np.testing.assert_array_equal(some.model.location, expected.model.location)
    with pytest.raises(ValueError, match="must lie in 1 to 6"):
        step.run(some, {"x": x}, 2, num_steps=7)


def test_after_a_stop_nothing_moves(model, key):
    """A bad batch in the middle: the state is that of before it, for the rest of the call and in later calls."""
    optimizer = optax.adam(0.05)
    x = toy_data(48).reshape(6, 8, 3)
    x[3] = np.nan
    state = init_state(model, optimizer, key=key)
    step = make_train_step(state, optimizer, mesh=one_device())
    expected, _ = step.run(step.place(init_state(model, optimizer, key=key)), {"x": x[:3]}, 0)
    stopped, metrics = step.run(step.place(init_state(model, optimizer, key=key)), {"x": x}, 0)
    np.testing.assert_array_equal(metrics["finite"], [1, 1, 1, 0, 0, 0])
    later, metrics = step.run(stopped, {"x": toy_data(48).reshape(6, 8, 3)}, 6)
    np.testing.assert_array_equal(metrics["finite"], np.zeros(6))
    assert int(later.step) == 3
    np.testing.assert_array_equal(later.model.location, expected.model.location)
    assert float(later.model.seen.value) == 24.0
