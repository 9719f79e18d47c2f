"""Bessel functions, von Mises and von Mises-Fisher distributions."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats

from artifex.generative_models.core.distributions import (
    check_support,
    kl_divergence,
    von_mises,
    von_mises_fisher,
)
from artifex.generative_models.core.distributions.bessel import log_scaled_bessel, one_minus_mean_resultant
from artifex.generative_models.core.distributions.direction_sampling import sample_one_minus_cosine

X = np.array([1e-3, 0.1, 1.0, 5.0, 20.0, 100.0, 1e4, 1e6])
NUM = 4000


@pytest.mark.parametrize("order", [0.0, 0.5, 1.0, 2.5, 7.0, 15.0, 31.0])
def test_bessel_functions_are_scipys(order):
    """Values and ratios in float32, for small and large arguments; one minus the ratio keeps its precision."""
    x = np.asarray(np.asarray(X, np.float32), np.float64)
    scaled = scipy.special.ive(order, x)
    exact = scipy.special.gammaln(order + 1) + order * np.log(2 / x) + np.log(scaled)
    is_known = scaled > 1e-290
    got = np.asarray(log_scaled_bessel(order, jnp.asarray(x, jnp.float32)), float)
    np.testing.assert_allclose(got[is_known], exact[is_known], rtol=5e-6, atol=2e-6)
    # For large x, 1 - ratio cancels in float64 too; there it is (2 v + 1) / (2 x) - (4 v^2 - 1) / (8 x^2).
    series = (2 * order + 1) / (2 * x) - (4 * order**2 - 1) / (8 * x**2)
    ratio = np.where(x > 5e3, series, 1 - scipy.special.ive(order + 1, x) / np.where(is_known, scaled, 1.0))
    got = np.asarray(one_minus_mean_resultant(order, jnp.asarray(x, jnp.float32)), float)
    np.testing.assert_allclose(got[is_known], ratio[is_known], rtol=2e-5)


@pytest.mark.parametrize("concentration", [0.0, 0.3, 4.0, 1e4])
def test_von_mises_is_scipys(concentration, key):
    """Density, total probability, entropy, and samples by Kolmogorov-Smirnov."""
    distribution = von_mises(jnp.array(2.5), concentration)
    exact = scipy.stats.vonmises(max(concentration, 1e-12), 2.5)
    x = jnp.array([2.5, 2.51, 2.4, 5.0, -3.0])
    expected = exact.logpdf(np.asarray(x, float))
    if concentration == 1e4:  # SciPy's cosine cancels.
        expected = (
            -2e4 * np.sin((np.asarray(x, float) - 2.5) / 2) ** 2
            - np.log(2 * np.pi)
            - np.log(scipy.special.i0e(1e4))
        )
    np.testing.assert_allclose(jax.vmap(distribution.log_prob)(x), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(distribution.entropy(), exact.entropy(), rtol=1e-4, atol=1e-4)
    samples = np.asarray(distribution.sample(seed=key, sample_shape=(NUM,)), float)
    assert np.abs(samples).max() <= np.pi + 1e-6
    centred = np.angle(np.exp(1j * (samples - 2.5)))
    cdf = scipy.stats.vonmises(max(concentration, 1e-12)).cdf
    assert scipy.stats.kstest(centred, cdf).pvalue > 1e-3


def cosine_cdf(u, concentration, dim):
    """Of 1 - w, in float64 by quadrature over the angle, split where the density peaks."""
    peak = np.sqrt((dim - 2) / concentration) if concentration > 0 else np.pi / 2

    def integral(angle):
        def density(a):
            return np.exp(-concentration * (1 - np.cos(a))) * np.sin(a) ** (dim - 2)

        inner = sorted({0.0, angle, *(p for p in (peak / 2, peak, 2 * peak, 4 * peak) if p < angle)})
        return sum(scipy.integrate.quad(density, low, high)[0] for low, high in itertools.pairwise(inner))

    return integral(np.arccos(1 - u)) / integral(np.pi)


@pytest.mark.parametrize(
    ("dim", "concentration"), [(2, 3.0), (3, 0.0), (3, 1e3), (5, 2.0), (20, 1.0), (20, 300.0)]
)
def test_von_mises_fisher_samples(dim, concentration, key):
    """Cosines follow their distribution, directions around the mean are uniform, and lengths are 1."""
    direction = jnp.asarray(np.random.default_rng(dim).normal(size=dim), jnp.float32)
    direction = direction / jnp.linalg.norm(direction)
    distribution = von_mises_fisher(direction, concentration)
    draw = jax.jit(lambda key: distribution.sample_and_log_prob(seed=key, sample_shape=(NUM,)))
    samples, log_probs = (np.asarray(array, float) for array in draw(key))
    check_support(distribution, jnp.asarray(samples, jnp.float32), tolerance=1e-6)
    u = 0.5 * np.sum((samples - np.asarray(direction)) ** 2, axis=1)
    grid = np.quantile(u, np.linspace(0.1, 0.9, 9))
    exact = np.array([cosine_cdf(value, concentration, dim) for value in grid])
    error = 4.5 * np.sqrt(exact * (1 - exact) / NUM) + 1e-3
    np.testing.assert_array_less(np.abs(exact - np.linspace(0.1, 0.9, 9)), error)
    tangents = samples - (1 - u)[:, None] * np.asarray(direction)
    tangents /= np.linalg.norm(tangents, axis=1, keepdims=True)
    np.testing.assert_array_less(np.abs(tangents.mean(0)), 4.5 / np.sqrt(NUM))
    assert abs(distribution.entropy() + log_probs.mean()) < 4.5 * log_probs.std() / NUM**0.5 + 1e-4
    mean_error = 4.5 * samples.std(0) / NUM**0.5 + 1e-6
    np.testing.assert_array_less(np.abs(samples.mean(0) - np.asarray(distribution.mean())), mean_error)


def test_von_mises_fisher_log_prob():
    """SciPy's in any dimension; in three the closed form, and it integrates to one."""
    rng = np.random.default_rng(0)
    for dim, concentration in ((2, 3.0), (3, 0.01), (3, 500.0), (7, 40.0), (64, 200.0)):
        direction = rng.normal(size=dim)
        direction /= np.linalg.norm(direction)
        x = direction + rng.normal(size=(5, dim)) / np.sqrt(dim)
        x = np.concatenate([x / np.linalg.norm(x, axis=1, keepdims=True), direction[None], -direction[None]])
        expected = scipy.stats.vonmises_fisher(direction, concentration).logpdf(x)
        distribution = von_mises_fisher(jnp.asarray(direction, jnp.float32), concentration)
        got = jax.vmap(distribution.log_prob)(jnp.asarray(x, jnp.float32))
        np.testing.assert_allclose(got, expected, rtol=1e-5, atol=1e-4)
    nodes, weights = np.polynomial.legendre.leggauss(100)
    pole = von_mises_fisher(jnp.array([0.0, 0.0, 1.0]), 7.0)
    x = np.stack([np.sqrt(1 - nodes**2), 0 * nodes, nodes], axis=1)
    density = np.exp(np.asarray(jax.vmap(pole.log_prob)(jnp.asarray(x, jnp.float32)), float))
    np.testing.assert_allclose(2 * np.pi * (density * weights).sum(), 1.0, rtol=1e-4)


@pytest.mark.parametrize(
    ("dim", "concentration"), [(2, 0.5), (2, 50.0), (3, 2.0), (3, 1e4), (10, 5.0), (100, 300.0)]
)
def test_gradient_of_a_sample_is_that_of_its_quantile(dim, concentration, key):
    """`du/dkappa` by float64 differences of the distribution of the cosine; in three dimensions in closed form."""
    kappa = jnp.full(20, concentration)
    u, slopes = jax.jvp(lambda k: sample_one_minus_cosine(key, k, dim), (kappa,), (jnp.ones(20),))
    u = np.asarray(u, float)
    if dim == 3:
        ratio = -np.expm1(-concentration * u) / -np.expm1(-2 * concentration)
        expected = (2 * ratio * np.exp(-2 * concentration + concentration * u) - u) / concentration
    else:
        step = 1e-4 * concentration
        ahead, behind = (
            np.array([cosine_cdf(value, concentration + sign * step, dim) for value in u]) for sign in (1, -1)
        )
        right, left = (
            np.array([cosine_cdf(value * (1 + sign * 1e-4), concentration, dim) for value in u])
            for sign in (1, -1)
        )
        expected = -(ahead - behind) / (2 * step) / ((right - left) / (2e-4 * u))
    np.testing.assert_allclose(slopes, expected, rtol=5e-3, atol=1e-3 * np.abs(expected).max())


@pytest.mark.parametrize("q_concentration", [0.0, 2.0, 500.0])
def test_divergences(q_concentration, key):
    """Against Monte Carlo, in standard errors; from itself 0."""
    p = von_mises_fisher(jnp.array([0.0, 0.6, 0.8]), 30.0)
    q = von_mises_fisher(jnp.array([0.0, 0.8, 0.6]), q_concentration)
    circle = von_mises(jnp.array([0.3, -2.0]), 30.0), von_mises(jnp.array([0.2, 3.0]), q_concentration)
    for p, q in ((p, q), circle):  # noqa: B020
        samples, log_probs = p.sample_and_log_prob(seed=key, sample_shape=(NUM,))
        ratios = np.asarray(log_probs - jax.vmap(q.log_prob)(samples), float)
        error = 4.5 * ratios.std() / NUM**0.5
        assert abs(kl_divergence(p, q) - ratios.mean()) < error
        np.testing.assert_allclose(kl_divergence(p, p), 0.0, atol=1e-5)


def test_directions_in_jit_vmap_grad_and_scan(key):
    """Built under vmap, one trace, finite gradients through density and samples, also for the uniform distribution."""
    traces = []

    def loss(params, key):
        traces.append(0)
        direction, concentration = params
        distribution = von_mises_fisher(direction / jnp.linalg.norm(direction), concentration)
        x, log_prob = distribution.sample_and_log_prob(seed=key)
        return log_prob + x.sum() + distribution.entropy()

    batch = jnp.eye(3) + 0.1, jnp.array([0.0, 3.0, 1e5])
    step = jax.jit(jax.vmap(jax.grad(loss), in_axes=((0, 0), None)))
    for _ in range(2):
        gradients = step(batch, key)
        assert all(np.isfinite(leaf).all() for leaf in gradients)
    assert len(traces) == 1
    angles, slopes = jax.vmap(jax.value_and_grad(lambda k: von_mises(k, k).sample(seed=key)))(batch[1])
    assert np.isfinite(angles).all()
    assert np.isfinite(slopes).all()


def test_bad_directions():
    """Not of length one, in too few dimensions, a negative concentration."""
    with pytest.raises(ValueError, match="`direction` must hold unit vectors; got a length of 2"):
        von_mises_fisher(jnp.array([0.0, 2.0]), 1.0)
    with pytest.raises(ValueError, match="at least 2 dimensions"):
        von_mises_fisher(jnp.array([1.0]), 1.0)
    with pytest.raises(ValueError, match="`concentration` must be at least 0 and finite; got -1"):
        von_mises(jnp.zeros(2), -1.0)
