"""Log-densities by the probability-flow ODE, against those of Gaussians and mixtures in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import logsumexp
from scipy.stats import norm
from tests.core.sampling.mixtures import Mixture

from artifex.generative_models.core.configuration import (
    CosinePathConfig,
    EDMPathConfig,
    FlowMatchingConfig,
    LikelihoodODEConfig,
    LinearPathConfig,
    MLPDenoiserConfig,
    VEPathConfig,
    VPPathConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.diffusion.likelihood import log_prob_by_ode
from artifex.generative_models.models.diffusion.paths import make_path

GAUSSIAN = Mixture((1.0,), (0.5,), (0.4,))
MIXTURE = Mixture(weights=(0.3, 0.7), means=(-1.0, 0.8), scales=(0.3, 0.2))
EXACT = LikelihoodODEConfig(rtol=1e-5, atol=1e-5)


def true_log_prob(mixture, x, noise):
    """Sum over the entries, in float64, of data with added noise."""
    x = np.asarray(x, np.float64)[..., None]
    scales = np.hypot(mixture.scales, noise)
    return logsumexp(np.log(mixture.weights) + norm.logpdf(x, mixture.means, scales), axis=-1).sum(-1)


@pytest.mark.parametrize("mixture", [GAUSSIAN, MIXTURE])
@pytest.mark.parametrize(
    "config",
    [
        # To so much noise that nothing of the data is left there: samplers begin with noise alone.
        VPPathConfig(beta_max=40.0),
        EDMPathConfig(sigma_max=2000.0),
        VEPathConfig(sigma_max=2000.0),
        LinearPathConfig(),
        CosinePathConfig(),
    ],
)
def test_closed_forms(config, mixture):
    """At the middle and in the tails, from clean data (noise 0.001, which the true density has too)."""
    path = make_path(config)
    x = jnp.array([[-1.0, 0.8], [0.5, 0.5], [-1.2, 1.3], [0.1, -0.2]])
    ours = jax.jit(jax.vmap(lambda x: log_prob_by_ode(EXACT, mixture.denoiser(path), path, x, key=None)))(x)
    expected = true_log_prob(mixture, x, 1e-3)
    np.testing.assert_allclose(ours, expected, atol=1e-3)


def test_noise_at_the_data_end():
    """The density is that of data with noise of `sigma_min`."""
    path = make_path(LinearPathConfig())
    config = EXACT.replace(sigma_min=0.5)
    x = jnp.array([0.4, -1.2])
    ours = log_prob_by_ode(config, MIXTURE.denoiser(path), path, x, key=None)
    np.testing.assert_allclose(ours, true_log_prob(MIXTURE, x, 0.5), atol=1e-3)


def test_hutchinson_is_unbiased():
    """Over keys, within 4 standard errors of the exact divergence; more probes, less spread."""
    path = make_path(LinearPathConfig())
    mix = jnp.array([[1.0, 0.6], [-0.3, 0.8]])
    inner = MIXTURE.denoiser(path)

    def denoise(x, t):
        # A turned and sheared mixture, whose Jacobian is not diagonal; on a diagonal one the estimate has no spread.
        estimate = inner(jnp.linalg.solve(mix, x), t)
        return jax.tree.map(lambda leaf: mix @ leaf, estimate)

    x = jnp.array([0.4, -0.7])
    exact = log_prob_by_ode(EXACT, denoise, path, x, key=None)
    spreads = []
    for num_probes in (1, 4):
        config = EXACT.replace(max_exact_size=0, num_probes=num_probes)
        keys = jax.random.split(jax.random.key(0), 200)
        values = np.asarray(
            jax.jit(jax.vmap(lambda key, c=config: log_prob_by_ode(c, denoise, path, x, key=key)))(keys)
        )
        spreads.append(values.std())
        assert abs(values.mean() - exact) < 4 * values.std() / np.sqrt(len(values)) + 1e-3
    assert 0.35 < spreads[1] / spreads[0] < 0.65
    with pytest.raises(ValueError, match="needs `key`"):
        log_prob_by_ode(config, denoise, path, x, key=None)


def test_of_a_model(key):
    """What a network's ODE makes of noise has a density that integrates to 1."""
    network = MLPDenoiserConfig(hidden_size=16, num_layers=1)
    model = create_model(FlowMatchingConfig(event_shape=(1,), network=network), key=key)
    model = jax.tree.map(lambda leaf: leaf + 0.1 * jnp.cos(jnp.arange(leaf.size).reshape(leaf.shape)), model)
    x = np.linspace(-9, 9, 301)[:, None]
    density = np.exp(model.log_prob(x, key=key))
    np.testing.assert_allclose(density.sum() * (x[1, 0] - x[0, 0]), 1.0, atol=5e-3)
    assert model.log_prob_kind == "estimate"
