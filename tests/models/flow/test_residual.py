"""Residual flows: estimates without bias, Lipschitz constants, and what training does to the norms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.flow.test_model import shaken

from artifex.generative_models.core.configuration import (
    ResidualConfig,
    ResidualFlowConfig,
    RussianRouletteConfig,
)
from artifex.generative_models.core.trainable import partition_trainable
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.backbones.bijections import Residual, estimated_inverse_and_log_det

NUM_DRAWS = 4000
CONFIG = ResidualFlowConfig(event_shape=(3,), num_layers=2, hidden_size=8, num_hidden_layers=1, lipschitz=0.8)

pytestmark = pytest.mark.usefixtures("cheap_compilation")


@pytest.fixture(scope="module")
def flow():
    """A flow far from the identity."""
    return shaken(create_model(CONFIG, key=jax.random.key(0)), 1.0)


def assert_unbiased(draws, wanted):
    """Means over draws agree with what is wanted, within four standard errors."""
    draws = np.asarray(draws, np.float64).reshape(len(draws), -1)
    error = draws.std(axis=0) / len(draws) ** 0.5
    assert np.all(error > 0)
    assert np.all(np.abs(draws.mean(axis=0) - np.ravel(wanted)) < 4 * error)


@pytest.mark.parametrize("num_exact_terms", [0, 3])
def test_estimates_are_unbiased(num_exact_terms):
    """Of the log-determinant and of its gradients in the input and the weights, against the Jacobian."""
    estimator = RussianRouletteConfig(num_exact_terms=num_exact_terms, stop_probability=0.3)
    config = ResidualConfig(hidden_size=5, num_layers=1, lipschitz=0.9, estimator=estimator)
    layer = shaken(Residual(config, (3,), key=jax.random.key(5)), 1.0)
    y = jnp.array([1.0, -2.0, 0.5])
    trainable, rest = partition_trainable(layer)

    def exact(trainable, y):
        return eqx.combine(trainable, rest).inverse_and_log_det(y)[1]

    def estimate(trainable, y, key):
        return estimated_inverse_and_log_det(eqx.combine(trainable, rest), y, key=key)[1]

    @jax.jit
    def measured(trainable, y, keys):
        of_exact = jax.value_and_grad(exact, (0, 1))(trainable, y)
        of_draws = jax.vmap(lambda key: jax.value_and_grad(estimate, (0, 1))(trainable, y, key))(keys)
        return of_exact, of_draws

    wanted, draws = measured(trainable, y, jax.random.split(jax.random.key(0), NUM_DRAWS))
    assert abs(float(wanted[0])) > 20 * float(jnp.std(draws[0])) / NUM_DRAWS**0.5
    assert_unbiased(draws[0], wanted[0])
    assert_unbiased(draws[1][1], wanted[1][1])
    for of_draws, of_exact in zip(jax.tree.leaves(draws[1][0]), jax.tree.leaves(wanted[1][0]), strict=True):
        if np.any(of_exact):  # the last bias moves nothing
            assert_unbiased(of_draws, of_exact)


def test_the_lipschitz_constant_is_bounded(flow):
    """The spectral norm of the Jacobian of each g at many points, with weights that the norms have not seen."""
    network = flow.bijection.stack.layers.bijections[0].network
    y = 3.0 * jax.random.normal(jax.random.key(3), (256, 3))

    @jax.jit
    def norms(arrays):
        network_one = eqx.combine(arrays, network)
        jacobians = jax.vmap(jax.jacfwd(lambda y: network_one(y, None)))(y)
        return jnp.linalg.norm(jacobians, ord=2, axis=(1, 2)), network_one.layers[0].weight

    for index in range(CONFIG.num_layers):
        arrays = jax.tree.map(lambda leaf, i=index: leaf[i], eqx.filter(network, eqx.is_array))
        found, weight = norms(arrays)
        assert np.linalg.norm(weight, ord=2) > 1.0  # so that scaling it down is needed
        assert 0.1 < found.max() <= 0.8 * 1.02


def test_log_prob_is_exact_and_estimated(flow, key):
    """Without a key and with one; samples have the density."""
    x, log_prob = flow.sample_and_log_prob(8, key=key)
    np.testing.assert_allclose(flow.log_prob(x), log_prob, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(flow.log_prob(x, key=key), flow.log_prob(x), rtol=1e-6)
    many = jnp.repeat(x[:1], NUM_DRAWS, axis=0)
    assert_unbiased(flow.estimated_log_prob(many, key=key), log_prob[:1])


def test_steps_bring_the_norms_up_to_the_weights(flow, key):
    """The loss returns the model with directions nearer to the singular vectors; its value is an estimate."""
    x = jax.random.normal(key, (4, 3))
    outputs = [flow.loss(x, key=jax.random.key(seed)) for seed in (0, 1)]
    assert outputs[0].total != outputs[1].total

    def misalignment(model):
        layer = model.bijection.stack.layers.bijections[0].network.layers[0]
        left = np.linalg.svd(np.asarray(layer.weight))[0][..., 0]
        return 1.0 - np.abs(np.einsum("lo,lo->l", left, np.asarray(layer.direction.value)))

    model = outputs[0].model
    assert np.all(misalignment(model) < misalignment(flow))
    for _ in range(9):
        model = model.loss(x, key=key).model
    assert np.all(misalignment(model) < 1e-3)
