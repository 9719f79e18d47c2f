"""Flows of parameters given observations: in their own units, and near the exact posterior."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    AdamConfig,
    MeshConfig,
    NSFConfig,
    TrainingConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.core.evaluation import simulation_based_calibration
from artifex.generative_models.factory import create_model
from artifex.generative_models.training import fit

pytestmark = pytest.mark.usefixtures("cheap_compilation")

# theta ~ N(MEAN, diag(SCALE)^2), x = A theta + noise: far from mean 0 and variance 1, as measured data are.
MEAN, SCALE = np.array([300.0, -0.002]), np.array([20.0, 0.0005])
A = np.array([[1.0, 1e4], [-2.0, 4e4], [0.0, 1e5]])
NOISE = np.array([15.0, 30.0, 25.0])
COVARIANCE = np.linalg.inv(np.diag(SCALE**-2) + A.T @ np.diag(NOISE**-2) @ A)


def simulated(num, seed):
    """Parameters and observations."""
    rng = np.random.default_rng(seed)
    theta = MEAN + SCALE * rng.normal(size=(num, 2))
    x = theta @ A.T + NOISE * rng.normal(size=(num, 3))
    return theta.astype(np.float32), x.astype(np.float32)


def posterior_mean(x):
    return (x @ (A / NOISE[:, None] ** 2) + MEAN / SCALE**2) @ COVARIANCE


def config(**settings):
    return NSFConfig(
        event_shape=(2,), condition_shape=(3,), num_layers=3, hidden_size=32, standardize=True, **settings
    )


def test_moments_are_those_of_the_data(key):
    """Layers see numbers of mean 0 and variance 1; densities are those of the parameters as they are."""
    theta, x = simulated(500, 0)
    flow = create_model(config(), key=key)
    assert flow.starts_from_data
    ready = flow.initialized(theta, x)
    assert not ready.starts_from_data and flow.starts_from_data
    np.testing.assert_allclose(ready.condition_norm.mean.value, x.mean(0), rtol=1e-4)
    np.testing.assert_allclose(ready.condition_norm.scale.value, x.std(0), rtol=1e-4)
    norm = ready.bijection.bijections[-1]
    np.testing.assert_allclose(norm.loc, theta.mean(0), rtol=1e-4)
    np.testing.assert_allclose(np.exp(norm.log_scale), theta.std(0), rtol=1e-4)
    # The layers before it are near the identity, so the density is near that of independent normals.
    made = ready.generate(500, key=key, condition=x)
    np.testing.assert_allclose(made.std(0), theta.std(0), rtol=0.3)
    one = jnp.asarray(theta[0])

    @jax.jit
    def determinant(one):
        def encode(unit):
            return ready._encode_one(unit * theta.std(0), jnp.asarray(x[0]), key=None)

        return jnp.linalg.slogdet(jax.jacfwd(encode)(one / theta.std(0)))[1] - np.log(theta.std(0)).sum()

    z = np.asarray(ready.encode(theta[:1], x[:1]))[0]
    wanted = determinant(one) - 0.5 * z @ z - np.log(2 * np.pi)
    np.testing.assert_allclose(ready.log_prob(theta[:1], condition=x[:1])[0], wanted, rtol=1e-3)


def test_training_sets_the_moments_by_its_first_batch(key):
    """Without a word from the user; a model that is set already keeps its own."""
    theta, x = simulated(64, 1)
    training = TrainingConfig(num_steps=1, batch_size=64, mesh=MeshConfig(data=1))
    flow = create_model(config(), key=key)
    fitted = fit(flow, {"x": theta, "condition": x}, training, key=key, progress=False)
    np.testing.assert_allclose(fitted.model.condition_norm.mean.value, x.mean(0), rtol=1e-4)
    assert fitted.records[0]["loss"] < 20  # without, the first loss would be that of 300 standard deviations
    other = flow.initialized(*simulated(64, 2))
    again = fit(other, {"x": theta, "condition": x}, training, key=key, progress=False)
    kept = again.model.condition_norm.mean.value
    np.testing.assert_array_equal(kept, other.condition_norm.mean.value)


@pytest.mark.slow
def test_a_trained_flow_is_the_exact_posterior(key):
    """Means within a tenth of a standard deviation, covariances within 15 %, ranks uniform."""
    theta, x = simulated(20_000, 3)
    training = TrainingConfig(
        num_steps=3000,
        batch_size=256,
        optimizer=AdamConfig(learning_rate=2e-3),
        schedule=WarmupCosineScheduleConfig(warmup_fraction=0.02),
        mesh=MeshConfig(data=1),
    )
    flow = create_model(config(), key=key)
    flow = fit(flow, {"x": theta, "condition": x}, training, key=key, progress=False).model
    truth, seen = simulated(500, 4)
    std = np.sqrt(np.diag(COVARIANCE))
    for observation in seen[:4]:
        draws = np.asarray(flow.generate(4000, key=key, condition=observation), np.float64)
        assert np.all(np.abs(draws.mean(0) - posterior_mean(observation)) < 0.1 * std + 4 * std / 4000**0.5)
        found = np.cov(draws.T) / np.outer(std, std)
        np.testing.assert_allclose(found, COVARIANCE / np.outer(std, std), atol=0.15)
    calibration = simulation_based_calibration(flow, truth, seen, key=key)
    assert calibration.p_values.min() > 0.005
    levels = np.array([0.3, 0.6, 0.9])
    np.testing.assert_allclose(calibration.density_coverage(levels), levels, atol=0.09)
