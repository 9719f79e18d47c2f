"""Reflow: the pairs are those of the ODE, and a flow trained on them is straighter."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.diffusion.exact import exact_flow, two_gaussians

from artifex.generative_models.core.configuration import (
    AdamConfig,
    FlowMatchingConfig,
    HeunSamplerConfig,
    MLPDenoiserConfig,
    TrainingConfig,
    UniformTimesConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.diffusion import reflow_pairs
from artifex.generative_models.models.diffusion.times import draw_times_batch
from artifex.generative_models.training import fit


@pytest.fixture(scope="module")
def first():
    return exact_flow()


@pytest.fixture(scope="module")
def pairs(first):
    return reflow_pairs(first, 4096, key=jax.random.key(0), sampler=HeunSamplerConfig(), num_steps=20)


def test_pairs_belong_together(first, pairs):
    """The noise is standard normal, and the model's ODE in fine steps leads from it to the data."""
    noise = np.asarray(pairs["x"]["noise"])
    assert (np.abs(noise.mean(0)) < 4 / np.sqrt(4096)).all()
    assert (np.abs(noise.std(0) - 1) < 4 / np.sqrt(2 * 4096)).all()
    x = pairs["x"]["noise"][:100]
    times = np.linspace(1.0, 0.0, 401, dtype=np.float32)
    for t, s in itertools.pairwise(times):
        estimate = first.denoise(x, t)
        x = x + (s - t) * (estimate.noise - estimate.data)
    # A trajectory that starts between the two is decided by little.
    assert np.median(np.abs(x - pairs["x"]["data"][:100])) < 0.01
    assert np.mean(np.abs(x - pairs["x"]["data"][:100]) < 0.1) > 0.97


def energy_distance(a, b):
    """Of two samples (Szekely & Rizzo 2013)."""
    far = lambda a, b: np.mean(np.linalg.norm(a[:, None] - b[None], axis=-1))  # noqa: E731
    return 2 * far(a, b) - far(a, a) - far(b, b)


def curvature(model):
    """E |v(x_t, t) - (x_1 - x_0)|^2 along the model's own trajectories: 0 where they are straight."""
    sampled = model.sample(500, key=jax.random.key(5), num_steps=20, keep_trajectory=True)
    steps = -np.diff(sampled.trajectory, axis=1) * 20
    chord = np.asarray(sampled.trajectory[:, 0] - sampled.trajectory[:, -1])
    return np.mean(np.sum((steps - chord[:, None]) ** 2, axis=-1))


def test_the_second_flow_is_straighter(first, pairs):
    """One step of Euler's method comes ten times nearer to the data, and trajectories bend four times less."""
    config = FlowMatchingConfig(event_shape=(2,), network=MLPDenoiserConfig(hidden_size=48, num_layers=2))
    training = TrainingConfig(
        num_steps=600,
        batch_size=256,
        optimizer=AdamConfig(learning_rate=3e-3),
        schedule=WarmupCosineScheduleConfig(),
        ema_decay=0.99,
    )
    model = create_model(config, key=jax.random.key(1))
    second = fit(model, pairs, training, key=jax.random.key(2), progress=False).model
    data = two_gaussians(1000)
    distances = [
        energy_distance(np.asarray(flow.sample(1000, key=jax.random.key(3), num_steps=1).x), data)
        for flow in (first, second)
    ]
    print(distances, curvature(first), curvature(second))
    assert distances[1] < 0.1 * distances[0]
    assert curvature(second) < 0.25 * curvature(first)


def test_loss_of_pairs_uses_their_noise(key):
    """Its squared error is that of the velocity noise - data at the point between the two."""
    config = FlowMatchingConfig(
        event_shape=(2,),
        network=MLPDenoiserConfig(hidden_size=8, num_layers=1),
        times=UniformTimesConfig(low_discrepancy=True),
    )
    model = create_model(config, key=key)
    data, noise = jax.random.normal(key, (2, 6, 2))
    t = draw_times_batch(config.times, model.path, 6, key=jax.random.split(key)[0])
    estimate = model.denoise((1 - t)[:, None] * data + t[:, None] * noise, t)
    expected = jnp.mean(((estimate.noise - estimate.data) - (noise - data)) ** 2)
    np.testing.assert_allclose(model.loss({"data": data, "noise": noise}, key=key).total, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="`data` and `noise` of the same shape"):
        model.loss({"data": data, "noise": noise[:, :1]}, key=key)
    with pytest.raises(ValueError, match="`data` and `noise` of the same shape"):
        model.loss({"data": data, "source": noise}, key=key)
