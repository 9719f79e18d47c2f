"""Truncated normal distributions against SciPy and float64 quadrature, wide, narrow and far out in the tails."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.stats

from artifex.generative_models.core.distributions import check_support, truncated_normal

INF = np.inf
# Location, scale, low, high.
CASES = {
    "one_sided": (0.5, 2.0, 0.0, INF),
    "two_sided": (0.5, 2.0, -1.0, 4.0),
    "all": (0.5, 2.0, -INF, INF),
    "tail": (0.0, 1.0, 8.0, INF),
    "lower_tail": (1.0, 0.5, -INF, -9.0),
    "far_tail": (0.0, 1.0, 200.0, 201.0),
    "farther_tail": (0.0, 1.0, 1e4, INF),
    "narrow": (0.0, 1.0, 0.25, 0.25 + 2**-10),
    "narrow_tail": (0.0, 1.0, 20.0, 20.0 + 2**-10),
    "almost_narrow_tail": (0.0, 1.0, -20.0 - 2**-7, -20.0),
    "beyond": (0.0, 1.0, -30.0, 40.0),
    "edge": (0.0, 1.0, 0.0, 1.0),
}
NUM = 4000


def exact(loc, scale, low, high):
    """Log-density in float64, and the interval that counts; normalized by quadrature on the exponent's own scale."""
    anchor = np.clip(loc, low, high)
    slope = abs(anchor - loc) / scale
    reach = scale * 80 / (slope + np.sqrt(slope**2 + 80))
    start, end = max(low, anchor - reach), min(high, anchor + reach)

    def log_kernel(x):
        return -0.5 * (x - anchor) * (x + anchor - 2 * loc) / scale**2

    points = np.linspace(start, end, 20)
    mass = sum(
        scipy.integrate.quad(lambda x: np.exp(log_kernel(x)), a, b, epsabs=0)[0]
        for a, b in itertools.pairwise(points)
    )
    return lambda x: log_kernel(x) - np.log(mass), start, end


def moments(loc, scale, low, high):
    """Mean, variance and entropy in float64."""
    log_density, start, end = exact(loc, scale, low, high)
    nodes, weights = np.polynomial.legendre.leggauss(400)
    offset = (end - start) * (nodes + 1) / 2
    log_density = log_density(start + offset)
    density = np.exp(log_density) * weights * (end - start) / 2
    mean = (density * offset).sum()
    return start + mean, (density * (offset - mean) ** 2).sum(), -(density * log_density).sum()


@pytest.fixture(scope="module")
def functions():
    """Compiled once for all cases."""
    log_prob = jax.jit(
        jax.vmap(lambda x, *params: truncated_normal(*params).log_prob(x), in_axes=(0, *[None] * 4))
    )
    slope = jax.jit(
        jax.vmap(
            jax.grad(lambda x, *params: truncated_normal(*params).log_prob(x), argnums=(0, 1, 2)),
            in_axes=(0, *[None] * 4),
        )
    )
    draw = jax.jit(lambda key, *params: truncated_normal(*params).sample(seed=key, sample_shape=(NUM,)))
    return log_prob, slope, draw


def float32(name):
    """Parameters as a distribution sees them."""
    return tuple(jnp.asarray(value, jnp.float32) for value in CASES[name])


@pytest.mark.parametrize("name", CASES)
def test_log_prob(name, functions):
    """Between the bounds against quadrature, and SciPy where it is exact; outside there is nothing."""
    params = [float(value) for value in float32(name)]
    log_density, start, end = exact(*params)
    x = np.asarray(np.asarray(np.linspace(start, end, 9), np.float32), np.float64)
    x = np.clip(x, params[2], params[3])
    got = functions[0](jnp.asarray(x, jnp.float32), *float32(name))
    np.testing.assert_allclose(got, log_density(x), rtol=1e-5, atol=2e-6)
    if name in ("one_sided", "two_sided", "tail", "edge"):
        loc, scale, low, high = params
        scipys = scipy.stats.truncnorm((low - loc) / scale, (high - loc) / scale, loc, scale)
        np.testing.assert_allclose(got, scipys.logpdf(x), rtol=1e-5, atol=2e-6)
    outside = jnp.array([params[2] - 1, params[3] + 1], jnp.float32)
    outside = outside[jnp.isfinite(outside)]
    assert (functions[0](outside, *float32(name)) == -jnp.inf).all()


@pytest.mark.parametrize("name", CASES)
def test_gradients(name, functions):
    """With respect to the value, the location and the scale: differences of float64 quadrature."""
    params = [float(value) for value in float32(name)]
    _, start, end = exact(*params)
    x = np.asarray(np.linspace(start, end, 7)[1:-1], np.float32)
    gradients = [np.asarray(gradient, float) for gradient in functions[1](jnp.asarray(x), *float32(name))]
    x = x.astype(float)
    for index, gradient in enumerate(gradients[1:]):
        step = 1e-5 * max(abs(params[index]), params[1] / (1 + min(abs(params[2]), abs(params[3]), 1e9)))
        ahead, behind = (
            exact(*(value + sign * step * (i == index) for i, value in enumerate(params)))[0](x)
            for sign in (1, -1)
        )
        expected = (ahead - behind) / (2 * step)
        tolerance = 2e-3 * np.abs(expected).max() + 1e-4
        np.testing.assert_allclose(gradient, expected, atol=tolerance)
    assert np.isfinite(gradients[0]).all()
    np.testing.assert_allclose(gradients[0], -(x - params[0]) / params[1] ** 2, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", CASES)
def test_moments_and_entropy(name):
    """In float64 by another rule."""
    mean, variance, entropy = moments(*(float(value) for value in float32(name)))
    distribution = truncated_normal(*float32(name))
    np.testing.assert_allclose(distribution.mean(), mean, rtol=2e-6, atol=1e-7)
    np.testing.assert_allclose(distribution.variance(), variance, rtol=1e-4)
    np.testing.assert_allclose(distribution.entropy(), entropy, rtol=1e-5, atol=1e-5)
    gradients = jax.grad(lambda *params: truncated_normal(*params).entropy(), argnums=(0, 1))(*float32(name))
    assert np.isfinite(gradients).all()


@pytest.mark.parametrize("name", CASES)
def test_samples(name, functions, key):
    """Within the bounds, with the right moments; Kolmogorov-Smirnov where float32 resolves the interval."""
    samples = functions[2](key, *float32(name))
    check_support(truncated_normal(*float32(name)), samples)
    mean, variance, _ = moments(*(float(value) for value in float32(name)))
    x = np.asarray(samples, float)
    resolution = np.spacing(np.float32(abs(mean)))
    assert abs(x.mean() - mean) < 4.5 * np.sqrt(variance / NUM) + resolution
    assert abs(x.std() - np.sqrt(variance)) < 0.08 * np.sqrt(variance) + resolution
    if np.sqrt(variance) > 1e4 * resolution:
        log_density, start, end = exact(*(float(value) for value in float32(name)))
        grid = np.linspace(start, end, 20001)
        cdf = scipy.integrate.cumulative_trapezoid(np.exp(log_density(grid)), grid, initial=0)
        assert scipy.stats.kstest(x, lambda x: np.interp(x, grid, cdf / cdf[-1])).pvalue > 1e-3


@pytest.mark.parametrize("name", ["two_sided", "tail", "lower_tail", "narrow_tail"])
def test_gradient_of_a_sample(name, key):
    """That of its quantile, by float64 differences of the cumulative distribution."""
    params = [float(value) for value in float32(name)]

    def sample(loc, scale):
        return truncated_normal(loc, scale, *float32(name)[2:]).sample(seed=key)

    x = float(sample(*float32(name)[:2]))
    slopes = jax.grad(sample, argnums=(0, 1))(*float32(name)[:2])

    def cdf(x, loc, scale):
        log_density, start, _ = exact(loc, scale, *params[2:])
        return scipy.integrate.quad(lambda y: np.exp(log_density(y)), start, x, epsabs=0, epsrel=1e-12)[0]

    density = np.exp(exact(*params)[0](x))
    for index, slope in enumerate(slopes):
        step = 1e-4 * params[1]
        ahead, behind = (
            cdf(x, *(value + sign * step * (i == index) for i, value in enumerate(params[:2])))
            for sign in (1, -1)
        )
        np.testing.assert_allclose(slope, -(ahead - behind) / (2 * step) / density, rtol=1e-2, atol=1e-4)


def test_bad_bounds_and_many_entries(key):
    """Swapped bounds are an error; entries may have different ones, under vmap and in one trace."""
    with pytest.raises(ValueError, match=r"`low` must be less than `high`; got 1 and 0. Swapped"):
        truncated_normal(jnp.zeros(()), 1.0, 1.0, 0.0)
    low = jnp.array([[-jnp.inf, 0.0], [5.0, -1.0]])
    distribution = truncated_normal(jnp.zeros((2, 2)), 1.0, low, jnp.inf)
    samples, log_probs = distribution.sample_and_log_prob(seed=key, sample_shape=(3,))
    assert samples.shape == (3, 2, 2)
    np.testing.assert_allclose(log_probs, jax.vmap(distribution.log_prob)(samples), rtol=1e-6)
