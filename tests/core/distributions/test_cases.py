"""Every distribution of the table: SciPy's log-probabilities, total probability, samples, transformations of JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from tests.core.distributions.cases import CASES

from artifex.generative_models.core.distributions import (
    check_support,
    distance_to_support,
    kl_divergence,
    monte_carlo_entropy,
)

NUM = 4000
CONTINUOUS = [name for name, case in CASES.items() if case.frozen is not None]
FAMILIES = [
    name
    for name in CASES
    if not name.endswith(("_heavy", "_light", "_small", "_large", "_skew", "_sure", "_tail"))
]
BOUNDED_QUANTILES = [name for name in CONTINUOUS if name != "student_t_heavy"]  # which span ten decades
DISCRETE = [name for name, case in CASES.items() if case.support is not None]


@pytest.fixture(scope="module")
def samples():
    """Samples of a case and their log-probabilities, drawn once."""
    drawn = {}

    def of(name):
        if name not in drawn:
            make = CASES[name].make

            @jax.jit  # Parameters are arguments, so cases of one kind share a compiled program.
            def draw(key, params):
                return make(*params).sample_and_log_prob(seed=key, sample_shape=(NUM,))

            drawn[name] = draw(jax.random.key(1), CASES[name].arrays())
        return drawn[name]

    return of


@pytest.mark.parametrize("name", CASES)
def test_log_prob_is_scipys(name):
    """Float32 against float64, in the far tails too; relative, but for values near 0."""
    case = CASES[name]
    points = jnp.asarray(np.asarray(case.points, np.float32))
    got = jax.vmap(case.distribution().log_prob)(points)
    assert got.dtype == jnp.float32
    np.testing.assert_allclose(got, case.expected_log_prob(), rtol=case.rtol, atol=3e-6)


@pytest.mark.parametrize("name", BOUNDED_QUANTILES)
def test_density_integrates_to_one(name):
    """Gauss-Legendre between quantiles, in the middle of the distribution."""
    case = CASES[name]
    low, high = case.frozen.ppf([0.05, 0.95])
    nodes, weights = np.polynomial.legendre.leggauss(200)
    x = low + (high - low) * (nodes + 1) / 2
    # Both ends of a wide interval: in the variable log(x), where the quantiles span decades.
    in_logs = low > 0 and high / low > 100
    if in_logs:
        x = np.exp(np.log(low) + np.log(high / low) * (nodes + 1) / 2)
    density = np.exp(np.asarray(jax.vmap(case.distribution().log_prob)(jnp.asarray(x, jnp.float32)), float))
    step = x * np.log(high / low) / 2 if in_logs else (high - low) / 2
    np.testing.assert_allclose((density * step * weights).sum(), 0.9, rtol=3e-4)


@pytest.mark.parametrize("name", DISCRETE)
def test_probabilities_sum_to_one(name):
    """Over the whole support, or all of it that counts."""
    case = CASES[name]
    log_probs = jax.vmap(case.distribution().log_prob)(jnp.asarray(case.support, jnp.float32))
    np.testing.assert_allclose(np.exp(np.asarray(log_probs, float)).sum(), 1.0, rtol=2e-5)


@pytest.mark.parametrize("name", CONTINUOUS)
def test_samples_follow_the_cumulative_distribution(name, samples):
    """Kolmogorov-Smirnov."""
    x, _ = samples(name)
    assert scipy.stats.kstest(np.asarray(x, float), CASES[name].frozen.cdf).pvalue > 1e-3


@pytest.mark.parametrize("name", DISCRETE)
def test_samples_follow_the_probabilities(name, samples):
    """Chi-square over the values that are expected at least 5 times, the others together."""
    case = CASES[name]
    x = np.asarray(samples(name)[0])
    expected = NUM * np.exp(case.log_prob(np.asarray(case.support, float), *map(np.array, case.params)))
    distances = np.abs(x[:, None] - case.support[None])
    counts = np.bincount(
        distances.reshape(NUM, len(case.support), -1).max(2).argmin(1), minlength=len(case.support)
    )
    often = expected >= 5
    if often.sum() < 2:
        assert counts[often].sum() >= NUM - 5
        return
    counts = np.append(counts[often], counts[~often].sum() + 1e-9)
    expected = np.append(expected[often], max(expected[~often].sum(), 1e-9))
    statistic = ((counts - expected) ** 2 / np.maximum(expected, 1.0)).sum()
    assert scipy.stats.chi2(often.sum()).sf(statistic) > 1e-3


@pytest.mark.parametrize("name", CASES)
def test_samples_have_their_log_prob_and_moments(name, samples):
    """Of `sample_and_log_prob`; mean and variance within 4.5 standard errors; all inside of the support."""
    distribution = CASES[name].distribution()
    x, log_probs = samples(name)
    np.testing.assert_allclose(log_probs, jax.vmap(distribution.log_prob)(x), rtol=1e-5, atol=1e-5)
    check_support(distribution, x)
    assert np.isfinite(log_probs).all()
    if not CASES[name].has_mean:
        return
    x = np.asarray(x, float)
    mean, variance = np.asarray(distribution.mean(), float), np.asarray(distribution.variance(), float)
    error = 4.5 * np.sqrt(variance / NUM) + 1e-6 * np.abs(mean) + 1e-7
    np.testing.assert_array_less(np.abs(x.mean(0) - mean), error)
    squares = (x - mean) ** 2
    if name == "student_t":  # Its fourth moment is infinite.
        return
    error = 4.5 * squares.std(0) / NUM**0.5 + 1e-5 * variance + 1e-9
    np.testing.assert_array_less(np.abs(squares.mean(0) - variance), error)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.has_entropy])
def test_entropy_is_the_mean_log_prob(name, samples):
    """Within 4.5 standard errors of Monte Carlo, and as SciPy has it."""
    case = CASES[name]
    entropy = float(case.distribution().entropy())
    log_probs = np.asarray(samples(name)[1], float)
    assert abs(entropy + log_probs.mean()) < 4.5 * log_probs.std() / NUM**0.5 + 1e-5
    if case.frozen is not None:
        np.testing.assert_allclose(entropy, case.frozen.entropy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.outside is not None])
def test_outside_of_the_support(name):
    """No probability, no NaN in the gradient, and an error that says which row, and how far."""
    case = CASES[name]
    distribution = case.distribution()
    outside = jnp.asarray(case.outside)
    inside = jnp.asarray(case.points)[-1]
    assert distribution.log_prob(outside) == -jnp.inf
    assert distance_to_support(distribution, outside) > 0
    with pytest.raises(ValueError, match=r"got 1 of 3 outside: row 1 by 0?\.?[0-9]"):
        check_support(distribution, jnp.stack([inside, outside, inside]))
    gradients = jax.grad(lambda params: case.make(*params).log_prob(outside))(case.arrays())
    assert all(np.isfinite(gradient).all() for gradient in gradients)


@pytest.mark.parametrize("name", CASES)
def test_gradients_are_finite_and_right(name):
    """At every point of the table; with respect to the parameters as float64 differences of SciPy's."""
    case = CASES[name]
    points = jnp.asarray(np.asarray(case.points, np.float32))

    @jax.jit
    @jax.vmap
    def gradients(point, params):
        return jax.grad(lambda params, point: case.make(*params).log_prob(point), argnums=(0, 1))(
            params, point
        )

    of_params, of_points = gradients(
        points, tuple(jnp.broadcast_to(value, (len(points), *value.shape)) for value in case.arrays())
    )
    assert all(np.isfinite(leaf).all() for leaf in (*of_params, of_points))

    rng = np.random.default_rng(0)
    params = [np.asarray(np.asarray(value, np.float32), np.float64) for value in case.params]
    steps = [1e-5 * value * rng.uniform(0.5, 1.0, np.shape(value)) for value in params]
    x = np.asarray(points, np.float64)
    ahead = case.log_prob(x, *(value + step for value, step in zip(params, steps, strict=True)))
    behind = case.log_prob(x, *(value - step for value, step in zip(params, steps, strict=True)))
    slopes = [
        np.asarray(gradient, float).reshape(len(x), -1) @ np.ravel(step)
        for gradient, step in zip(of_params, steps, strict=True)
    ]
    size = np.maximum(sum(np.abs(slope) for slope in slopes), 1e-5)
    np.testing.assert_allclose(sum(slopes) / size, (ahead - behind) / 2 / size, atol=2e-3)


@pytest.mark.parametrize("name", FAMILIES)
def test_lives_in_jit_vmap_and_scan(name):
    """Built under vmap, returned from it, carried by a scan, passed to a compiled function: one trace."""
    case = CASES[name]
    params, traces = case.arrays(), []
    point = jnp.asarray(np.asarray(case.points, np.float32))[0]

    @jax.jit
    def of(distribution, x):
        traces.append(0)
        return distribution.log_prob(x)

    for scale in (1.0, 1.01):
        result = of(case.make(*(value * scale for value in params)), point)
        exact = result if scale == 1.0 else exact
    assert len(traces) == 1

    @jax.jit
    def everywhere(keys, stacked, params):
        built = jax.vmap(case.make)(*stacked)
        drawn = jax.vmap(lambda d, key: d.sample(seed=key))(built, keys)
        log_probs = jax.vmap(lambda d: d.log_prob(point))(built)
        carried, totals = jax.lax.scan(lambda d, _: (d, d.log_prob(point)), case.make(*params), length=2)
        return drawn, log_probs, totals, carried

    keys = jax.random.split(jax.random.key(0), 3)[jnp.array([0, 1, 0])]
    stacked = tuple(jnp.stack([value] * 3) for value in params)
    drawn, log_probs, totals, carried = everywhere(keys, stacked, params)
    np.testing.assert_array_equal(drawn[0], drawn[2])
    check_support(carried, drawn)
    for values in (log_probs, totals):
        np.testing.assert_allclose(values, jnp.full(len(values), exact), rtol=2e-5, atol=1e-5)
    assert carried.event_shape == case.make(*params).event_shape


def test_monte_carlo_entropy(key):
    """Of a mixture of two equal normals: the entropy of one, within 5 standard errors."""
    distribution = CASES["mixture"].distribution()
    x = np.linspace(-15, 15, 20001)
    log_probs = CASES["mixture"].log_prob(x, *map(np.array, CASES["mixture"].params))
    exact = np.trapezoid(-np.exp(log_probs) * log_probs, x)
    assert abs(monte_carlo_entropy(distribution, key=key, num_samples=10_000) - exact) < 5 * 0.01
    with pytest.raises(ValueError, match="`num_samples` must be at least 1"):
        monte_carlo_entropy(distribution, key=key, num_samples=0)
    with pytest.raises(TypeError, match="monte_carlo_kl"):
        kl_divergence(distribution, distribution)
