"""Couplings against SciPy's assignment, linear programming's limits, and the distribution that noise must keep."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment

from artifex.generative_models.core.configuration import (
    FlowMatchingConfig,
    IndependentCouplingConfig,
    MLPDenoiserConfig,
    OptimalTransportCouplingConfig,
    SinkhornCouplingConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.diffusion.couplings import (
    couple_batch,
    equal_conditions_batch,
    optimal_assignment_batch,
    sinkhorn_batch,
    squared_distances_batch,
)

NUM = 40
EXACT = OptimalTransportCouplingConfig()


@pytest.fixture(scope="module")
def pairs():
    """Data of a batch, noise, and class labels."""
    rng = np.random.default_rng(0)
    data = rng.normal(size=(NUM, 1, 3)) + np.sign(rng.normal(size=(NUM, 1, 1)))
    noise = rng.normal(size=(NUM, 1, 3))
    return jnp.asarray(data), jnp.asarray(noise), jnp.asarray(rng.integers(0, 3, NUM))


def cost_of(data, noise):
    """Sum of squared distances, in float64."""
    return np.sum((np.asarray(data, np.float64) - np.asarray(noise, np.float64)) ** 2)


def places(noise, dealt):
    """Where each dealt noise came from."""
    flat, found = (np.asarray(array).reshape(NUM, -1) for array in (noise, dealt))
    return np.array([int(np.flatnonzero((flat == row).all(axis=1))[0]) for row in found])


def test_distances(pairs):
    """All pairs, against differences in float64."""
    data, noise, _ = pairs
    expected = ((np.asarray(data)[:, None] - np.asarray(noise)[None]) ** 2).sum((2, 3))
    np.testing.assert_allclose(squared_distances_batch(data, noise), expected, rtol=1e-4, atol=1e-5)


def test_exact_is_scipys_assignment(pairs):
    """A permutation, of the least cost, under jit."""
    data, noise, _ = pairs
    cost = np.asarray(squared_distances_batch(data, noise))
    ours = np.asarray(jax.jit(optimal_assignment_batch)(jnp.asarray(cost)))
    assert sorted(ours) == list(range(NUM))
    rows, columns = linear_sum_assignment(cost.astype(np.float64))
    np.testing.assert_array_equal(ours, columns[np.argsort(rows)])
    dealt = couple_batch(EXACT, data, noise, key=jax.random.key(0))
    np.testing.assert_array_equal(dealt, noise[ours])
    assert cost_of(data, dealt) < 0.8 * cost_of(data, noise)


def test_conditions_keep_their_own_noise(pairs):
    """Within each class a permutation, SciPy's of that class; with conditions that all differ, nothing moves."""
    data, noise, labels = pairs
    dealt = couple_batch(EXACT, data, noise, labels, key=jax.random.key(0))
    order = places(noise, dealt)
    np.testing.assert_array_equal(labels[order], labels)
    for label in range(3):
        members = np.flatnonzero(labels == label)
        cost = squared_distances_batch(data[members], noise[members])
        expected = np.asarray(cost)[linear_sum_assignment(np.asarray(cost, np.float64))].sum()
        np.testing.assert_allclose(cost_of(data[members], dealt[members]), expected, rtol=1e-4)
    different = {"a": jnp.arange(NUM) / 7.0, "b": jnp.zeros((NUM, 2))}
    for config in (EXACT, SinkhornCouplingConfig()):
        np.testing.assert_array_equal(
            couple_batch(config, data, noise, different, key=jax.random.key(0)), noise
        )


def test_sinkhorn_between_its_limits(pairs):
    """Sums of rows and columns; nearly the assignment for little regularization, independent for much."""
    data, noise, labels = pairs
    cost = squared_distances_batch(data, noise)
    exact = float(np.asarray(cost)[linear_sum_assignment(np.asarray(cost, np.float64))].mean())
    for scale in (1.0, 0.05):
        plan = np.exp(
            np.asarray(sinkhorn_batch(cost / (scale * cost.mean()), num_iterations=500), np.float64)
        )
        np.testing.assert_allclose(plan.sum(1), 1 / NUM, rtol=1e-4)
        np.testing.assert_allclose(plan.sum(0), 1 / NUM, rtol=0.02)
    sharp = np.exp(np.asarray(sinkhorn_batch(cost / (0.01 * cost.mean()), num_iterations=2000)))
    assert exact <= np.sum(sharp * cost) + 1e-4 and np.sum(sharp * cost) < 1.03 * exact
    flat = np.exp(np.asarray(sinkhorn_batch(cost / (1e4 * cost.mean()), num_iterations=20)))
    np.testing.assert_allclose(flat, 1 / NUM**2, rtol=2e-3)
    within = np.exp(np.asarray(sinkhorn_batch(cost, equal_conditions_batch(labels), num_iterations=200)))
    assert (within[np.asarray(labels)[:, None] != np.asarray(labels)[None, :]] == 0).all()
    np.testing.assert_allclose(within.sum(1), 1 / NUM, rtol=1e-4)


def test_drawn_noise_keeps_its_distribution(pairs):
    """Sinkhorn: over many draws every noise comes equally often, and costs less than independent noise."""
    data, noise, _ = pairs
    deal = jax.jit(lambda key: couple_batch(SinkhornCouplingConfig(num_iterations=500), data, noise, key=key))
    dealt = [deal(jax.random.key(i)) for i in range(100)]
    counts = np.bincount(np.concatenate([places(noise, d) for d in dealt]), minlength=NUM)
    assert (np.abs(counts - 100) < 5 * np.sqrt(100)).all()
    assert np.mean([cost_of(data, d) for d in dealt]) < 0.9 * cost_of(data, noise)


def test_training_with_a_coupling(key):
    """One dimension: the optimal paths do not cross, so the best loss falls from the variance of x - noise to 0.

    For data and noise both N(0, 1) the coupled velocity is 0, and a network that starts near 0 has nothing to learn.
    """
    network = MLPDenoiserConfig(hidden_size=8, num_layers=1)
    losses = {}
    for config in (IndependentCouplingConfig(), EXACT):
        flow = FlowMatchingConfig(event_shape=(1,), network=network, coupling=config)
        model = create_model(flow, key=key)
        model = jax.tree.map(lambda leaf: 0.0 * leaf, model)
        x = jax.random.normal(jax.random.key(1), (256, 1))
        losses[config.kind] = float(model.loss(x, key=jax.random.key(2)).total)
    assert abs(losses["independent"] - 2.0) < 0.5
    assert losses["optimal_transport"] < 0.1
