"""Continuous flows: densities against a fine-step solution with the exact trace, estimates, energies."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.toys.quadrature import grid_points
from artifex.generative_models.core.configuration import (
    ChainConfig,
    CNFConfig,
    ConfigError,
    ContinuousConfig,
    MLPDenoiserConfig,
    ReverseConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.backbones.bijections import make_bijection

pytestmark = pytest.mark.usefixtures("cheap_compilation")

NETWORK = MLPDenoiserConfig(hidden_size=16, num_layers=1)
ADAPTIVE = ContinuousConfig(network=NETWORK, solver="bosh3", rtol=1e-5, atol=1e-5)
FIXED = ContinuousConfig(network=NETWORK, solver="heun", num_steps=40)


def moved(model):
    """Away from the identity."""
    arrays, rest = eqx.partition(model, eqx.is_inexact_array)
    arrays = jax.tree.map(
        lambda leaf: leaf + 0.25 * jnp.cos(jnp.arange(leaf.size).reshape(leaf.shape)), arrays
    )
    return eqx.combine(arrays, rest)


@pytest.fixture(scope="module")
def flow(cheap_compilation):
    """A flow in the plane with exact divergence."""
    return moved(create_model(CNFConfig(event_shape=(2,), bijection=ADAPTIVE), key=jax.random.key(0)))


@pytest.fixture(scope="module")
def grid(flow):
    """Cells of a square, their area, and the flow's log-densities there."""
    cells, area = grid_points((-8.0, 8.0, -8.0, 8.0), 0.2)
    return cells, area, np.asarray(flow.log_prob(cells), np.float64)


def reference(flow, x, num_steps=800):
    """Log p(x) by the classical Runge-Kutta method in equal steps, with the trace of the whole Jacobian."""

    def field(t, state):
        def velocity(x):
            return flow.bijection.network(x, 10.0 * t, None)

        return velocity(state[0]), jnp.trace(jax.jacfwd(velocity)(state[0]))

    def step(state, t):
        h = jnp.float32(1.0 / num_steps)

        def at(slope, part):
            return jax.tree.map(lambda a, b: a + part * h * b, state, slope)

        a = field(t, state)
        b = field(t + h / 2, at(a, 0.5))
        c = field(t + h / 2, at(b, 0.5))
        d = field(t + h, at(c, 1.0))
        total = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, a, b, c, d)
        return at(total, 1.0), None

    def one(x):
        times = jnp.arange(num_steps, dtype=jnp.float32) / num_steps
        z, log_det = jax.lax.scan(step, (x, jnp.zeros(())), times)[0]
        return jax.scipy.stats.norm.logpdf(z).sum() + log_det

    return jax.jit(jax.vmap(one))(x)


def test_density_is_that_of_a_fine_solution_and_integrates_to_one(flow, grid):
    """Where there is nearly all of the probability."""
    cells, area, log_prob = grid
    np.testing.assert_allclose(area * np.exp(log_prob).sum(), 1.0, atol=1e-3)
    likely = np.argsort(log_prob)[-2000::40]
    np.testing.assert_allclose(reference(flow, cells[likely]), log_prob[likely], atol=1e-3)
    assert np.abs(log_prob[likely] - jax.scipy.stats.norm.logpdf(cells[likely]).sum(1)).max() > 0.3


def test_samples_have_the_density(flow, grid, key):
    """In one pass; the same samples as `generate`; their mean is that of the density on the grid."""
    cells, area, log_prob = grid
    x, of_samples = flow.sample_and_log_prob(len(cells), key=key)
    np.testing.assert_allclose(flow.log_prob(x), of_samples, atol=2e-3)
    np.testing.assert_allclose(flow.generate(len(cells), key=key), x, atol=1e-3)
    mean = area * np.exp(log_prob) @ cells
    assert np.all(np.abs(np.mean(x, axis=0) - mean) < 4 * np.std(x, axis=0) / len(x) ** 0.5 + 1e-3)


def test_estimates_are_unbiased(flow):
    """`log_prob` by one random direction, over keys; and it needs one."""
    config = flow.config.replace(max_exact_size=0, bijection=FIXED)
    estimating = eqx.tree_at(
        lambda m: m.bijection.network, create_model(config, key=jax.random.key(0)), flow.bijection.network
    )
    assert flow.log_prob_kind == "exact" and estimating.log_prob_kind == "estimate"
    x = jnp.tile(jnp.array([[0.7, -0.4]]), (2000, 1))
    values = np.asarray(estimating.log_prob(x, key=jax.random.key(1)), np.float64)
    exact = float(reference(flow, x[:1])[0])
    error = values.std(ddof=1) / len(values) ** 0.5
    assert error > 1e-4
    assert abs(values.mean() - exact) < 4 * error + 2e-3
    with pytest.raises(ValueError, match="is a estimate: it needs `key`"):
        estimating.log_prob(x)


def test_energies_are_part_of_the_loss(flow, key):
    """Each with its weight, and positive."""
    weighted = flow.config.replace(kinetic_weight=0.3, jacobian_weight=0.2, bijection=FIXED)
    model = eqx.tree_at(
        lambda m: m.bijection.network, create_model(weighted, key=key), flow.bijection.network
    )
    x = jax.random.normal(key, (8, 2))
    loss = model.loss(x, key=key)
    metrics = loss.metrics
    nll = -metrics["latent_log_prob"] - metrics["log_det"]
    np.testing.assert_allclose(nll, -np.mean(reference(flow, x)), atol=2e-3)
    assert metrics["kinetic"] > 0 and metrics["jacobian"] > 0
    np.testing.assert_allclose(
        loss.total, nll + 0.3 * metrics["kinetic"] + 0.2 * metrics["jacobian"], rtol=1e-5
    )


def test_as_a_layer(key):
    """Between others: log-determinants of both directions against the Jacobian, which needs the adjoint "direct"."""
    layer = FIXED.replace(adjoint="direct")
    bijection = moved(
        make_bijection(ChainConfig(layers=(ReverseConfig(), layer)), (3,), condition_size=2, key=key)
    )
    x, condition = jax.random.normal(key, (3,)), jnp.array([0.5, -1.0])

    @jax.jit
    def run(x):
        y, log_det = bijection.forward_and_log_det(x, condition)
        back, inverse_log_det = bijection.inverse_and_log_det(y, condition)
        jacobian = jax.jacfwd(lambda x: bijection.forward(x, condition))(x)
        return log_det, back, inverse_log_det, jnp.linalg.slogdet(jacobian)[1]

    log_det, back, inverse_log_det, by_autodiff = run(x)
    np.testing.assert_allclose(back, x, atol=2e-3)
    np.testing.assert_allclose(log_det, by_autodiff, atol=2e-3)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=2e-3)


def test_a_solver_without_an_estimate_of_its_error_needs_steps():
    """Euler's method has none."""
    with pytest.raises(ConfigError, match="'euler' does not estimate its error: give `num_steps`"):
        ContinuousConfig(solver="euler")
    assert ContinuousConfig(solver="euler", num_steps=10).num_steps == 10
