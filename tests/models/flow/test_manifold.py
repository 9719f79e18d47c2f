"""Flows on the torus and on the sphere: densities, tangent maps, and what training reaches."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.toys import TorusMixture
from artifex.data.toys.quadrature import grid_points
from artifex.generative_models.core.configuration import (
    AdamConfig,
    ConfigError,
    MeshConfig,
    NormalLatentConfig,
    SphereFlowConfig,
    TorusFlowConfig,
    TrainingConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.core.distributions import mixture, von_mises_fisher
from artifex.generative_models.core.trainable import partition_trainable
from artifex.generative_models.factory import create_model
from artifex.generative_models.training import fit

pytestmark = pytest.mark.usefixtures("cheap_compilation")

SMALL: dict[str, Any] = {"num_layers": 3, "hidden_size": 12, "num_hidden_layers": 1, "num_bins": 5}
FLOWS = {
    "torus": TorusFlowConfig(**SMALL),
    "torus_autoregressive": TorusFlowConfig(**SMALL, is_autoregressive=True, num_classes=3),
    "sphere": SphereFlowConfig(**SMALL, condition_shape=(2,)),
}
CONDITIONS = {"torus": None, "torus_autoregressive": jnp.array(2), "sphere": jnp.array([0.5, -1.0])}
# Means and concentrations of a mixture on the sphere, of which one part lies at a pole.
DIRECTIONS = np.array([[0.0, 0.0, 1.0], [0.6, -0.8, 0.0], [-0.48, 0.6, -0.64]])
CONCENTRATIONS = np.array([10.0, 20.0, 5.0])


def cells(name, num=200):
    """Points that stand for equal parts of the manifold, and the size of such a part."""
    if name.startswith("torus"):
        return grid_points((-math.pi, math.pi, -math.pi, math.pi), 2 * math.pi / num)
    rows = num // 2
    height = np.repeat((np.arange(rows) + 0.5) * 2 / rows - 1, num)
    longitude = np.tile((np.arange(num) + 0.5) * 2 * math.pi / num - math.pi, rows)
    radius = np.sqrt(1 - height**2)
    points = np.stack([radius * np.cos(longitude), radius * np.sin(longitude), height], axis=1)
    return points.astype(np.float32), 4 * math.pi / len(points)


def coordinates(points):
    """Numbers without a cut: cosines and sines of angles, or the vector."""
    return np.concatenate([np.cos(points), np.sin(points)], axis=1) if points.shape[1] == 2 else points


@pytest.fixture(scope="module", params=list(FLOWS))
def case(request, cheap_compilation):
    """A flow with random weights far from the identity, and a condition for it."""
    model = create_model(FLOWS[request.param], key=jax.random.key(0))
    trainable, rest = partition_trainable(model)
    rng = np.random.default_rng(0)
    noisy = jax.tree.map(
        lambda leaf: leaf + jnp.asarray(0.15 * rng.normal(size=leaf.shape), leaf.dtype), trainable
    )
    return request.param, eqx.combine(noisy, rest), CONDITIONS[request.param]


def repeated(condition, num):
    return None if condition is None else jnp.broadcast_to(condition, (num, *condition.shape))


def test_densities(case, key):
    """They integrate to one; samples come with theirs, and have the means of the density."""
    name, flow, condition = case
    points, area = cells(name)
    num = len(points)
    density = np.exp(np.asarray(flow.log_prob(points, condition=repeated(condition, num)), np.float64))
    np.testing.assert_allclose(area * density.sum(), 1.0, atol=1e-3)
    assert density.max() > 2 * density.min()
    x, log_prob = flow.sample_and_log_prob(num, key=key, condition=condition)
    again = flow.log_prob(x, condition=repeated(condition, num))
    np.testing.assert_allclose(log_prob, again, atol=5e-3)
    np.testing.assert_allclose(flow.generate(num, key=key, condition=condition), x, atol=1e-4)
    found = coordinates(np.asarray(x, np.float64))
    error = found.std(axis=0) / num**0.5
    assert np.all(np.abs(found.mean(axis=0) - area * density @ coordinates(points)) < 4 * error + 1e-3)
    if name == "sphere":
        np.testing.assert_allclose(np.linalg.norm(x, axis=1), 1.0, atol=1e-5)
    else:
        assert np.all((x >= -math.pi) & (x < math.pi))


def test_log_determinants_of_the_tangent_map(case, key):
    """Inverse of forward is identity; log-determinants are those of the Jacobian between tangent spaces."""
    name, flow, condition = case
    vector = None if condition is None else jax.nn.one_hot(condition, 3) if condition.ndim == 0 else condition
    x = jnp.asarray(flow.generate(16, key=key, condition=condition))

    def tangents(x):
        """Two orthonormal vectors at right angles to x; on the torus, those of the plane."""
        if name != "sphere":
            return jnp.eye(2)
        axis = jnp.eye(3)[jnp.argmin(jnp.abs(x))]
        first = jnp.cross(x, axis)
        first = first / jnp.linalg.norm(first)
        return jnp.stack([first, jnp.cross(x, first)], axis=1)

    @jax.jit
    @jax.vmap
    def run(x):
        y, log_det = flow.bijection.forward_and_log_det(x, vector)
        back, inverse_log_det = flow.bijection.inverse_and_log_det(y, vector)
        jacobian = jax.jacfwd(lambda x: flow.bijection.forward(x, vector))(x)
        return back, log_det, inverse_log_det, jnp.linalg.slogdet(tangents(y).T @ jacobian @ tangents(x))[1]

    back, log_det, inverse_log_det, by_autodiff = run(x)
    np.testing.assert_allclose(coordinates(np.asarray(back)), coordinates(np.asarray(x)), atol=2e-3)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=5e-3)
    np.testing.assert_allclose(log_det, by_autodiff, atol=5e-3)


def test_nothing_is_cut(case):
    """Densities are the same after a turn, on both sides of the cut, and all round each pole; gradients are finite."""
    name, flow, condition = case
    if name == "sphere":
        angle = np.linspace(0, 2 * math.pi, 5)[:-1]
        ring = np.stack([1e-4 * np.cos(angle), 1e-4 * np.sin(angle), np.ones(4)], axis=1)
        points = np.concatenate([ring, ring * [1, 1, -1], [[0, 0, 1.0]], [[0, 0, -1.0]]]).astype(np.float32)
        log_prob = np.asarray(flow.log_prob(points, condition=repeated(condition, len(points))))
        np.testing.assert_allclose(log_prob[:4], log_prob[8], atol=5e-3)
        np.testing.assert_allclose(log_prob[4:8], log_prob[9], atol=5e-3)
    else:
        edge = math.pi - 1e-5
        points = np.array([[edge, 0.3], [-edge, 0.3], [0.3, edge], [0.3, -edge], [0.3, edge - 2 * math.pi]])
        points = points.astype(np.float32)
        log_prob = np.asarray(flow.log_prob(points, condition=repeated(condition, len(points))))
        np.testing.assert_allclose(log_prob[[0, 2, 2]], log_prob[[1, 3, 4]], atol=1e-3)
    trainable, rest = partition_trainable(flow)

    @eqx.filter_jit
    def gradient(trainable, points):
        def total(trainable, points):
            model = eqx.combine(trainable, rest)
            return model.loss(points, repeated(condition, len(points)), key=jax.random.key(0)).total

        return jax.grad(total, (0, 1))(trainable, points)

    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient(trainable, jnp.asarray(points))))


def trained(config, x):
    """A model after a short training."""
    training = TrainingConfig(
        num_steps=600,
        batch_size=256,
        optimizer=AdamConfig(learning_rate=1e-2),
        schedule=WarmupCosineScheduleConfig(warmup_fraction=0.02),
        steps_per_dispatch=50,
        mesh=MeshConfig(data=1),
    )
    model = create_model(config, key=jax.random.key(0))
    return fit(model, x, training, key=jax.random.key(1), progress=False).model


@pytest.mark.slow
def test_training_on_the_torus():
    """A mixture of pairs of von Mises angles, one at the cut: near its entropy, and still a density."""
    toy = TorusMixture()
    x = toy.sample(12_000, key=jax.random.key(3))
    model = trained(TorusFlowConfig(num_layers=4, hidden_size=24, num_hidden_layers=1), x[:10_000])
    gap = np.asarray(toy.log_prob(x[10_000:]) - model.log_prob(x[10_000:]))
    assert -0.01 < gap.mean() < 0.05
    points, area = cells("torus")
    density = np.exp(np.asarray(model.log_prob(points), np.float64))
    np.testing.assert_allclose(area * density.sum(), 1.0, atol=1e-3)


def test_training_on_the_sphere():
    """A mixture of von Mises-Fisher distributions, one at a pole: near its entropy, and still a density."""
    parts = von_mises_fisher(
        jnp.asarray(DIRECTIONS, jnp.float32), jnp.asarray(CONCENTRATIONS, jnp.float32), batch_ndims=1
    )
    target = mixture(jnp.zeros(3), parts)
    x = jax.jit(lambda key: target.sample(seed=key, sample_shape=(12_000,)))(jax.random.key(3))
    model = trained(SphereFlowConfig(num_layers=4, hidden_size=24, num_hidden_layers=1), x[:10_000])
    gap = np.asarray(jax.vmap(target.log_prob)(x[10_000:]) - model.log_prob(x[10_000:]))
    assert -0.01 < gap.mean() < 0.05
    points, area = cells("sphere")
    density = np.exp(np.asarray(model.log_prob(points), np.float64))
    np.testing.assert_allclose(area * density.sum(), 1.0, atol=1e-3)


def test_ways_between_and_what_does_not_fit(case, key):
    """Interpolation stays on the manifold; temperatures and vectors of another length have no place there."""
    name, flow, condition = case
    x = flow.generate(4, key=key, condition=condition)
    way = np.asarray(flow.interpolate(x, x[::-1], 3, repeated(condition, 4)))
    np.testing.assert_allclose(coordinates(way[:, 0]), coordinates(np.asarray(x)), atol=2e-3)
    np.testing.assert_allclose(coordinates(way[:, 2]), coordinates(np.asarray(x[::-1])), atol=2e-3)
    with pytest.raises(ValueError, match=r"uniform latents have no scale: `temperature` must be 1; got 0\.5"):
        flow.sample_and_log_prob(2, key=key, condition=condition, temperature=0.5)
    with pytest.raises(ConfigError, match="must be 'uniform_"):
        flow.config.replace(latent=NormalLatentConfig())
    if name == "sphere":
        np.testing.assert_allclose(np.linalg.norm(way, axis=-1), 1.0, atol=1e-4)
        assert np.all(np.isneginf(flow.log_prob(1.1 * x, condition=repeated(condition, 4))))
        with pytest.raises(ConfigError, match=r"`event_shape` must be \(3,\)"):
            SphereFlowConfig(event_shape=(4,))
