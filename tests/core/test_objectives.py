"""Training against unnormalised densities whose constants are known."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data import Draws
from artifex.generative_models.core.configuration import (
    AdamConfig,
    AffineTransformerConfig,
    BijectionFlowConfig,
    ChainConfig,
    ElementwiseTransformerConfig,
    LULinearConfig,
    MeshConfig,
    RealNVPConfig,
    TrainingConfig,
    VAEConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.core.objectives import ReverseKL
from artifex.generative_models.factory import create_model
from artifex.generative_models.training import fit

pytestmark = pytest.mark.usefixtures("cheap_compilation")

MEAN = np.array([1.0, -2.0])
PRECISION = np.array([[2.0, 0.8], [0.8, 1.0]])
CONSTANT = 3.0
LOG_Z = CONSTANT + math.log(2 * math.pi) - 0.5 * math.log(np.linalg.det(PRECISION))
LINEAR = BijectionFlowConfig(
    event_shape=(2,),
    bijection=ChainConfig(
        layers=(LULinearConfig(), ElementwiseTransformerConfig(transformer=AffineTransformerConfig()))
    ),
)


def gaussian(x):
    """A normal density times exp(CONSTANT) times its own constant."""
    difference = x - jnp.asarray(MEAN, jnp.float32)
    return CONSTANT - 0.5 * difference @ jnp.asarray(PRECISION, jnp.float32) @ difference


def banana(x):
    """X_0 normal of scale 1.5, x_1 normal around a parabola, of scale 0.5; without their constants."""
    return -0.5 * (x[0] / 1.5) ** 2 - 0.5 * ((x[1] - 0.5 * x[0] ** 2 + 1.0) / 0.5) ** 2


def training(num_steps, rate):
    return TrainingConfig(
        num_steps=num_steps,
        batch_size=128,
        optimizer=AdamConfig(learning_rate=rate),
        schedule=WarmupCosineScheduleConfig(warmup_fraction=0.02),
        log_every=num_steps // 4,
        steps_per_dispatch=num_steps // 4,
        mesh=MeshConfig(data=1),
    )


@pytest.fixture(scope="module")
def linear(cheap_compilation):
    """A model that can be the Gaussian, before training, with each of the estimators."""
    flow = create_model(LINEAR, key=jax.random.key(0))
    return {name: ReverseKL(flow, gaussian, estimator=name) for name in ("reparameterized", "path")}


def test_a_gaussian_is_found_with_its_constant(linear):
    """By the path gradient, whose noise vanishes at the optimum, exactly."""
    result = fit(linear["path"], None, training(600, 0.05), key=jax.random.key(1), progress=False)
    log_z = result.model.log_normalizer(1000, key=jax.random.key(2))
    assert abs(log_z.value - LOG_Z) < 4 * log_z.standard_error + 1e-4
    assert log_z.standard_error < 1e-3
    np.testing.assert_allclose(result.records[-1]["elbo"], LOG_Z, atol=0.01)
    np.testing.assert_allclose(result.records[-1]["effective_sample_size"], 1.0, atol=0.01)
    x = np.asarray(result.model.model.generate(4000, key=jax.random.key(3)))
    error = np.sqrt(np.diag(np.linalg.inv(PRECISION)) / len(x))
    assert np.all(np.abs(x.mean(0) - MEAN) < 4 * error + 1e-3)
    np.testing.assert_allclose(np.linalg.inv(np.cov(x.T)), PRECISION, atol=0.2)


def test_estimators_agree_in_expectation_and_the_path_gradient_vanishes_at_the_optimum(linear):
    """Over keys, within 4 standard errors; and with q = p the one is 0, the other noise."""
    keys = jax.random.split(jax.random.key(5), 400)

    @eqx.filter_jit
    def gradients(objective):
        def one(key):
            return eqx.filter_grad(lambda model: model.loss(jnp.arange(4), key=key).total)(objective)

        return jnp.concatenate(
            [leaf.reshape(len(keys), -1) for leaf in jax.tree.leaves(jax.vmap(one)(keys))], axis=1
        )

    usual, path = (np.asarray(gradients(linear[name]), np.float64) for name in ("reparameterized", "path"))
    error = np.hypot(usual.std(0), path.std(0)) / len(keys) ** 0.5
    assert np.all(np.abs(usual.mean(0) - path.mean(0)) < 4.5 * error + 1e-6)
    flow = linear["path"].model
    own = {
        name: ReverseKL(flow, lambda x: flow.log_prob(x[None])[0], estimator=name)
        for name in ("reparameterized", "path")
    }
    assert np.abs(np.asarray(gradients(own["path"]))).max() < 1e-4
    assert np.abs(np.asarray(gradients(own["reparameterized"]))).max() > 0.1


def test_a_banana():
    """A flow of affine couplings: near it, and log Z within standard errors."""
    flow = create_model(RealNVPConfig(event_shape=(2,), num_layers=4, hidden_size=24), key=jax.random.key(0))
    result = fit(ReverseKL(flow, banana), None, training(600, 5e-3), key=jax.random.key(1), progress=False)
    log_z = result.model.log_normalizer(20_000, key=jax.random.key(2))
    exact = math.log(2 * math.pi * 1.5 * 0.5)
    assert log_z.standard_error < 0.02
    assert abs(log_z.value - exact) < 4 * log_z.standard_error
    weights = result.model.log_weights(20_000, key=jax.random.key(2))
    assert exact - 0.1 < np.mean(weights) < exact + 4 * np.std(weights) / 20_000**0.5
    assert result.records[0]["elbo"] < result.records[-1]["elbo"] < exact + 0.05


def test_conditional_targets(key):
    """The density sees the condition of its draw: of standard normal samples the weights are known."""
    config = RealNVPConfig(event_shape=(1, 2), condition_shape=(1, 2), num_layers=1, hidden_size=4)
    flow = create_model(config, key=key)
    objective = ReverseKL(flow, lambda x, condition: -jnp.sum((x - condition) ** 2))
    condition = jnp.array([[[0.0, 0.0]], [[1.0, 3.0]]])
    loss = objective.loss(jnp.arange(2), condition, key=key).total
    total = 0.0
    for number in range(2):
        draw = jax.random.fold_in(key, number)
        x, log_prob = flow.sample_and_log_prob(1, key=draw, condition=condition[number])
        total += float(log_prob[0] + jnp.sum((x[0] - condition[number]) ** 2)) / 2
    np.testing.assert_allclose(loss, total, rtol=1e-5)


def test_draws_are_batches_whose_position_is_kept():
    """As those of data."""
    draws = Draws(3)
    assert draws.take(2).tolist() == [[0, 1, 2], [0, 1, 2]]
    again = Draws(3)
    again.restore(draws.state())
    assert again.state() == draws.state() == {"next_batch": 2, "batch_size": 3}
    with pytest.raises(ValueError, match="the saved position belongs to data with batch_size=3"):
        Draws(4).restore(draws.state())


def test_what_does_not_fit(linear, key):
    """Models without densities of their samples, functions that are no densities, fits without data."""
    flow = linear["path"].model
    with pytest.raises(TypeError, match="must have `sample_and_log_prob`, as flows do; got VAE"):
        ReverseKL(create_model(VAEConfig(), key=key), gaussian)
    with pytest.raises(TypeError, match="must be a function of one example; got 3"):
        ReverseKL(flow, 3)
    with pytest.raises(ValueError, match="must be 'reparameterized' or 'path'; got 'score'"):
        ReverseKL(flow, gaussian, estimator="score")
    with pytest.raises(ValueError, match=r"must give a scalar for one example of shape \(2,\)"):
        ReverseKL(flow, lambda x: x).loss(jnp.arange(2), key=key)
    with pytest.raises(ValueError, match="`data` is None, but NormalizingFlow learns from examples"):
        fit(flow, None, training(4, 1e-3), key=key, progress=False)
    with pytest.raises(ValueError, match="`n_samples` must be at least 1; got 0"):
        linear["path"].log_weights(0, key=key)
