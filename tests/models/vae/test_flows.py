"""Flows as posterior and as prior: densities, and bounds against log p(x) by quadrature over the latents."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data.toys.quadrature import grid_points
from artifex.generative_models.core.configuration import (
    ChainConfig,
    ConfigError,
    ConstantScheduleConfig,
    CouplingLayerConfig,
    FlowPosteriorConfig,
    FlowPriorConfig,
    ImportanceWeightedConfig,
    MaskedAutoregressiveConfig,
    ReverseConfig,
    ScannedConfig,
    TotalCorrelationConfig,
    VampPriorConfig,
)
from artifex.generative_models.core.trainable import partition_trainable
from artifex.generative_models.models.vae.objectives import make_objective

from .tiny import binary_batch, tiny_model

POSTERIOR = FlowPosteriorConfig(
    bijection=ScannedConfig(
        layer=ChainConfig(layers=(MaskedAutoregressiveConfig(hidden_size=8, num_layers=1), ReverseConfig())),
        num_layers=2,
    ),
    context_size=3,
)
PRIOR = FlowPriorConfig(
    bijection=ScannedConfig(
        layer=ChainConfig(layers=(CouplingLayerConfig(hidden_size=8, num_layers=1), ReverseConfig())),
        num_layers=2,
    )
)
X = binary_batch(2)


def shaken(model, scale=0.1):
    """The model with noise on all weights, so that its flows are far from the identity."""
    trainable, rest = partition_trainable(model)
    rng = np.random.default_rng(0)
    noisy = jax.tree.map(
        lambda leaf: leaf + jnp.asarray(scale * rng.normal(size=leaf.shape), leaf.dtype), trainable
    )
    return eqx.combine(noisy, rest)


@pytest.fixture(scope="module")
def model():
    """A VAE with two flows, its posteriors wider than its prior, so that importance weights are bounded."""
    model = shaken(tiny_model(posterior=POSTERIOR, prior=PRIOR))
    return eqx.tree_at(lambda m: m.encoder.mlp.out.bias, model, replace_fn=lambda bias: bias.at[2:4].add(1.0))


def test_bounds_against_quadrature(model, key):
    """ELBO < bound of 8 samples < bound of 4,000 samples, which is near log p(x) = log sum p(z) p(x|z) on a grid."""
    cells, area = grid_points((-12.0, 12.0, -12.0, 12.0), 0.08)

    @jax.jit
    def log_p(x):
        prior = model._prior_one(None)
        logs = jax.vmap(lambda z: prior.log_prob(z) + model._likelihood_one(z, None).log_prob(x))(cells)
        return jax.nn.logsumexp(logs) + jnp.log(area)

    exact = np.array([log_p(x) for x in X])
    fine = np.stack(
        [
            model.importance_weighted_bound(
                X, key=jax.random.fold_in(key, i), num_samples=4000, chunk_size=1000
            )
            for i in range(8)
        ]
    )
    error = fine.std(axis=0, ddof=1) / len(fine) ** 0.5
    assert np.all(np.abs(fine.mean(axis=0) - exact) < 4 * error + 0.005)
    assert np.all(error < 0.03)
    many = np.repeat(X[:1], 500, axis=0)
    elbo = np.asarray(model.elbo(many, key=key))
    bound = np.asarray(model.importance_weighted_bound(many, key=key, num_samples=8))
    assert elbo.mean() < bound.mean() + 4 * elbo.std() / 500**0.5
    assert bound.mean() < exact[0] + 4 * bound.std() / 500**0.5
    assert elbo.mean() < exact[0] - 0.01


def test_the_density_of_posterior_samples(model, key):
    """What comes with a sample, without the inverse, is `log_prob`; it integrates to one; the encoder moves it."""
    cells, area = grid_points((-12.0, 12.0, -12.0, 12.0), 0.08)

    @jax.jit
    def run(x, keys):
        posterior = model._posterior_one(x, None)
        z, log_prob = jax.vmap(lambda key: posterior.sample_and_log_prob(seed=key))(keys)
        return z, log_prob, jax.vmap(posterior.log_prob)(z), jax.vmap(posterior.log_prob)(cells)

    z, log_prob, again, on_grid = run(X[0], jax.random.split(key, 2000))
    np.testing.assert_allclose(log_prob, again, rtol=1e-3, atol=1e-3)
    density = area * np.exp(np.asarray(on_grid, np.float64))
    np.testing.assert_allclose(density.sum(), 1.0, atol=1e-3)
    mean = density @ cells
    assert np.all(np.abs(np.mean(z, axis=0) - mean) < 4 * np.std(z, axis=0) / 2000**0.5 + 1e-3)
    assert not np.allclose(run(X[1], jax.random.split(key, 2000))[3], on_grid, atol=0.05)
    centre = model.encode(X[:1])[0]
    assert np.abs(centre - mean).max() < 2 * np.std(z, axis=0).max()


def test_estimators_of_one_bound(model, key):
    """Both give the same value, the latter by the inverse of the flow, and finite gradients."""
    losses = []
    for estimator in ("iwae", "dreg"):
        objective = ImportanceWeightedConfig(num_samples=4, estimator=estimator)
        other = eqx.tree_at(
            lambda m: m.objective, model, make_objective(objective, ConstantScheduleConfig(value=1.0))
        )
        trainable, rest = partition_trainable(other)
        loss, gradient = jax.value_and_grad(
            lambda trainable, rest=rest: eqx.combine(trainable, rest).loss(X, key=key).total
        )(trainable)
        losses.append(loss)
        leaves = jax.tree.leaves(gradient)
        assert all(np.isfinite(leaf).all() and np.abs(leaf).max() > 0 for leaf in leaves)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_what_does_not_fit(key):
    """Objectives and priors that need more of a posterior than a flow has; layers without a use for the context."""
    with pytest.raises(ConfigError, match="takes means and scales"):
        tiny_model(posterior=POSTERIOR, objective=TotalCorrelationConfig(dataset_size=8))
    with pytest.raises(ConfigError, match="the prior 'vamp' takes the density"):
        tiny_model(posterior=POSTERIOR, prior=VampPriorConfig(num_components=2))
    with pytest.raises(ValueError, match="`context_size` 3, but no layer"):
        tiny_model(posterior=FlowPosteriorConfig(bijection=ReverseConfig(), context_size=3))
    assert tiny_model(posterior=FlowPosteriorConfig(bijection=ReverseConfig(), context_size=0))
    with pytest.raises(TypeError, match=r"known for a `NormalPosterior` alone; got FlowPosterior"):
        tiny_model(posterior=POSTERIOR).posterior_parameters(X)
