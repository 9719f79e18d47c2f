"""Models whose first parameters are taken from the first batch."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    ActNormConfig,
    AdamConfig,
    BijectionFlowConfig,
    MeshConfig,
    TrainingConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.training import Reached, fit

NUM = 32
CONFIG = TrainingConfig(
    num_steps=6,
    batch_size=NUM,  # all examples, so that every batch has their moments
    optimizer=AdamConfig(learning_rate=1e-2),
    ema_decay=0.9,
    log_every=2,
    steps_per_dispatch=2,
    checkpoint_every=2,
    mesh=MeshConfig(data=1),
)
STILL = CONFIG.replace(num_steps=2, optimizer=AdamConfig(learning_rate=1e-12))


@pytest.fixture(scope="module")
def data():
    return (7.0 + 3.0 * np.random.default_rng(0).normal(size=(NUM, 2))).astype(np.float32)


@pytest.fixture
def model(key):
    return create_model(BijectionFlowConfig(event_shape=(2,), bijection=ActNormConfig()), key=key)


def run(model, data, config=CONFIG, **options):
    return fit(model, data, config, key=jax.random.key(7), progress=False, **options)


def norm_of(model):
    return np.asarray(model.bijection.loc), np.exp(np.asarray(model.bijection.log_scale))


def assert_same_bits(one, other):
    for a, b in zip(*(jax.tree.leaves(eqx.filter(x.state, eqx.is_array)) for x in (one, other)), strict=True):
        same = a == b if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else np.array_equal(a, b)
        assert same


@pytest.mark.parametrize("devices", [1, 8])
def test_the_first_batch_sets_the_model(model, data, devices):
    """Before the first step, in the average too; the model that was given does not change."""
    result = run(model, data, STILL.replace(mesh=MeshConfig(data=devices)))
    for trained in (result.model, result.state.model):
        loc, scale = norm_of(trained)
        np.testing.assert_allclose(loc, data.mean(0), rtol=1e-5)
        np.testing.assert_allclose(scale, data.std(0), rtol=1e-5)
    np.testing.assert_array_equal(norm_of(model)[0], 0.0)
    assert result.records[0]["loss"] < 8.0  # of the identity it is above 50


def test_a_trained_model_keeps_its_parameters(model, data):
    """Further training, on other data, begins where the first ended."""
    first = run(model, data, STILL).model
    again = run(first, data + 100.0, STILL).model
    np.testing.assert_allclose(norm_of(again)[0], norm_of(first)[0])


def test_a_resumed_run_is_not_set_again(model, data, tmp_path):
    """Killed after two steps and resumed, it ends with the bits of an unbroken one."""
    whole = run(model, data)
    run(model, data, run_dir=tmp_path, callbacks=[Stop()])
    resumed = run(model, data, run_dir=tmp_path)
    assert int(resumed.state.step) == CONFIG.num_steps
    assert_same_bits(resumed, whole)


class Stop:
    """Ends the run at its second step."""

    every = 2

    def __call__(self, run, event):
        if isinstance(event, Reached):
            run.stop("as asked")
