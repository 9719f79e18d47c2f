"""The consistency sampler with the exact consistency function: right moments in any number of steps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest
from tests.core.sampling.mixtures import Mixture

from artifex.generative_models.core.configuration import (
    ConsistencySamplerConfig,
    EDMPathConfig,
    LinearPathConfig,
    TrigonometricPathConfig,
    VPPathConfig,
)
from artifex.generative_models.core.sampling import (
    ConsistencySampler,
    DDIMSampler,
    Estimate,
    check_serves,
    checked_times,
    make_sampler,
)
from artifex.generative_models.models.diffusion.paths import make_path

MIXTURE = Mixture((0.3, 0.7), (-1.0, 0.6), (0.3, 0.2))
NUM = 10_000


def exact_jump(mixture, path):
    """The flow on the line keeps the order, so it takes the quantile of x_t to the same quantile of the data."""
    weights, means, scales = (jnp.asarray(v) for v in (mixture.weights, mixture.means, mixture.scales))
    grid = jnp.linspace(-3.0, 2.5, 4001)
    quantiles = jax.vmap(lambda x: jnp.sum(weights * jax.scipy.stats.norm.cdf(x, means, scales)))(grid)

    def jump(x, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        spread = jnp.sqrt(alpha**2 * scales**2 + sigma**2)
        below = jnp.sum(weights * jax.scipy.stats.norm.cdf(x[0], alpha * means, spread))[None]
        data = jnp.interp(below, quantiles, grid)
        return Estimate(data, (x - alpha * data) / sigma)

    return jump


@pytest.mark.parametrize("num_steps", [1, 2, 5])
@pytest.mark.parametrize(
    "path", [TrigonometricPathConfig(), LinearPathConfig(), VPPathConfig(), EDMPathConfig()]
)
def test_exact_function_gives_the_distribution(path, num_steps):
    """The jump is exact and the fresh noise leads to the distribution of x_s, so there is no error of steps at all."""
    path = make_path(path)
    times = jnp.linspace(0.99, 0.0, num_steps + 1)
    jump, sampler = exact_jump(MIXTURE, path), ConsistencySampler()

    @jax.jit
    @jax.vmap
    def one(key):
        part_key, data_key, noise_key, key = jax.random.split(key, 4)
        part = (jax.random.uniform(part_key) < MIXTURE.weights[1]).astype(int)
        data = jnp.asarray(MIXTURE.means)[part] + jnp.asarray(MIXTURE.scales)[part] * jax.random.normal(
            data_key
        )
        x = path.alpha(times[0]) * data + path.sigma(times[0]) * jax.random.normal(noise_key, (1,))
        return sampler.sample(jump, path, x, times, key=key, keep_trajectory=True)

    sampled = one(jax.random.split(jax.random.key(num_steps), NUM))
    x = np.asarray(sampled.x, np.float64)[:, 0]
    mean, std, fourth = MIXTURE.moments()
    assert abs(x.mean() - mean) < 4 * std / np.sqrt(NUM)
    assert abs(x.var() - std**2) < 4 * np.sqrt((fourth - std**4) / NUM)
    assert kstest(x, MIXTURE.cdf).statistic < 1.95 / np.sqrt(NUM)  # p = 0.001
    assert (sampled.num_evaluations == num_steps).all()
    assert sampled.trajectory.shape == (NUM, num_steps + 1, 1)


def test_serves():
    """A consistency model and its sampler belong together, and no other pair does."""
    sampler = make_sampler(ConsistencySamplerConfig())
    check_serves(sampler, is_consistency=True)
    check_serves(DDIMSampler(), is_consistency=False)
    with pytest.raises(ValueError, match="ConsistencySampler needs a consistency model"):
        check_serves(sampler, is_consistency=False)
    with pytest.raises(ValueError, match=r"needs the `consistency` sampler.*got DDIMSampler"):
        check_serves(DDIMSampler(), is_consistency=True)


@pytest.mark.parametrize("times", [[1.0, 0.5], [0.5, 1.0, 0.0], [1.5, 0.0], [0.0], [1.0, 1.0, 0.0]])
def test_times(times):
    """They fall from at most 1 to 0."""
    np.testing.assert_array_equal(checked_times([1.0, 0.25, 0.0]), np.float32([1.0, 0.25, 0.0]))
    with pytest.raises(ValueError, match="must fall from at most 1 to 0"):
        checked_times(times)
