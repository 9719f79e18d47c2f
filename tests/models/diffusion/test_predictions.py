"""Every kind of prediction carries the same information: conversions between all of them, on all paths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    CosinePathConfig,
    DataPredictionConfig,
    DDPMPathConfig,
    EDMPathConfig,
    EDMPredictionConfig,
    LinearPathConfig,
    NoisePredictionConfig,
    ScorePredictionConfig,
    SubVPPathConfig,
    TrigonometricPathConfig,
    VelocityPredictionConfig,
    VEPathConfig,
    VPPathConfig,
    VPredictionConfig,
)
from artifex.generative_models.models.diffusion.paths import make_path
from artifex.generative_models.models.diffusion.predictions import make_prediction

PATHS = [
    VPPathConfig(),
    SubVPPathConfig(),
    CosinePathConfig(),
    VEPathConfig(),
    EDMPathConfig(),
    LinearPathConfig(),
    TrigonometricPathConfig(),
    DDPMPathConfig(),
]
KINDS = {
    "noise": NoisePredictionConfig(),
    "data": DataPredictionConfig(),
    "v": VPredictionConfig(),
    "score": ScorePredictionConfig(),
    "velocity": VelocityPredictionConfig(),
    "edm": EDMPredictionConfig(sigma_data=0.7),
}


@pytest.mark.parametrize("config", PATHS, ids=lambda config: config.kind)
def test_the_truth_comes_back(config):
    """From the target of each kind at x_t, the data and the noise; error in units of float32 round-off."""
    path = make_path(config)
    data_key, noise_key = jax.random.split(jax.random.key(0))
    data, noise = jax.random.normal(data_key, (50,)), jax.random.normal(noise_key, (50,))

    @jax.jit
    @jax.vmap
    def errors(t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        x = alpha * data + sigma * noise
        found = {}
        for name, kind in KINDS.items():
            prediction = make_prediction(kind)
            estimate = prediction.estimate(path, prediction.target(path, data, noise, t), x, t)
            found[name] = jnp.abs(estimate.data - data).max(), jnp.abs(estimate.noise - noise).max()
        return found, sigma / alpha, alpha / sigma

    found, ratio, inverse = errors(jnp.linspace(0.02, 0.98, 49))
    # What is divided by alpha, or by sigma, has its round-off multiplied.
    for name, (data_error, noise_error) in found.items():
        assert (data_error < 1e-5 * (1 + ratio)).all(), name
        assert (noise_error < 1e-5 * (1 + inverse)).all(), name


@pytest.mark.parametrize("config", PATHS, ids=lambda config: config.kind)
@pytest.mark.parametrize("name", KINDS)
def test_all_is_finite_at_the_ends(config, name):
    """At t = 0 and t = 1, with gradients with respect to x and to the output."""
    path, prediction = make_path(config), make_prediction(KINDS[name])

    @jax.jit
    def everything(t):
        x, output = jnp.ones(3), jnp.full(3, 0.5)
        estimate = prediction.estimate(path, output, x, t)
        gradients = jax.jacobian(lambda x, y: prediction.estimate(path, y, x, t), argnums=(0, 1))(x, output)
        target = prediction.target(path, x, output, t)
        return estimate, gradients, target, prediction.input_scale(path, t), prediction.weights(path, t)

    for t in (0.0, 1.0):
        for leaf in jax.tree.leaves(everything(jnp.float32(t))):
            assert np.isfinite(leaf).all()


@pytest.mark.parametrize("config", PATHS, ids=lambda config: config.kind)
def test_v_and_edm_need_no_guard(config):
    """Their determinant never vanishes: both ends give the truth back, up to what x_t or the output hold of it."""
    path = make_path(config)
    data, noise = jnp.array([0.3, -1.2]), jnp.array([1.1, 0.4])
    for name in ("v", "edm"):
        prediction = make_prediction(KINDS[name])
        for t in (jnp.float32(0.0), jnp.float32(1.0)):
            x = path.alpha(t) * data + path.sigma(t) * noise
            estimate = prediction.estimate(path, prediction.target(path, data, noise, t), x, t)
            size = float(
                jnp.hypot(path.alpha(t), path.sigma(t))
            )  # data are in x_t at 1 / sigma, times round-off
            np.testing.assert_allclose(estimate.data, data, atol=1e-6 * max(size, 1))
            np.testing.assert_allclose(
                estimate.noise, noise, atol=1e-6 * max(size, 1) + 2e-4 * (name == "edm")
            )


def test_edm_is_karras_table_1():
    """c_skip, c_out and c_in of the paper, in float64; and the target's and the input's variance is one."""
    sigma_data, path = 0.5, make_path(EDMPathConfig())
    prediction = make_prediction(EDMPredictionConfig(sigma_data=sigma_data))
    for t in (1e-4, 0.003, 0.1, 0.9):
        sigma = 80.0 * t
        c_skip = sigma_data**2 / (sigma**2 + sigma_data**2)
        c_out = sigma * sigma_data / np.sqrt(sigma**2 + sigma_data**2)
        x, output = 2.0, -0.7
        estimate = prediction.estimate(path, jnp.float32(output), jnp.float32(x), jnp.float32(t))
        np.testing.assert_allclose(estimate.data, c_skip * x + c_out * output, rtol=2e-5)
        scale = prediction.input_scale(path, jnp.float32(t))
        np.testing.assert_allclose(scale, 1 / np.sqrt(sigma**2 + sigma_data**2), rtol=1e-5)
        a, b = (float(w) for w in prediction.weights(path, jnp.float32(t)))
        np.testing.assert_allclose(a**2 * sigma_data**2 + b**2, 1.0, rtol=1e-5)


def test_velocity_on_the_straight_line_is_noise_minus_data():
    """The target of rectified flow."""
    path, prediction = make_path(LinearPathConfig()), make_prediction(VelocityPredictionConfig())
    for t in (0.0, 0.3, 1.0):
        target = prediction.target(path, jnp.array([2.0]), jnp.array([0.5]), jnp.float32(t))
        np.testing.assert_allclose(target, [-1.5], rtol=1e-6)
