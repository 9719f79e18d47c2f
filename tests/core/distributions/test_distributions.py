"""Log-probabilities against SciPy in float64, samples against the probabilities, and float32 in the tails."""

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from artifex.generative_models.core.distributions import (
    bernoulli,
    beta,
    categorical,
    check_support,
    dirichlet,
    discretized_logistic,
    gamma,
    gumbel_softmax,
    laplace,
    low_rank_normal,
    mixture,
    multivariate_normal,
    negative_binomial,
    normal,
    normal_from_output,
    one_hot,
    poisson,
    straight_through,
    student_t,
    uniform,
    zero_inflated,
)

RNG = np.random.default_rng(0)


def test_normal_log_prob_is_scipys():
    """Sum over all entries, with one scale or many."""
    loc, scale, x = RNG.normal(size=(2, 3)), RNG.uniform(0.1, 2.0, (2, 3)), RNG.normal(size=(2, 3))
    with jax.enable_x64(True):
        many = normal(jnp.array(loc), jnp.array(scale)).log_prob(jnp.array(x))
        one = normal(jnp.array(loc), 0.3).log_prob(jnp.array(x))
    np.testing.assert_allclose(many, scipy.stats.norm.logpdf(x, loc, scale).sum(), rtol=1e-12)
    np.testing.assert_allclose(one, scipy.stats.norm.logpdf(x, loc, 0.3).sum(), rtol=1e-12)


def test_normal_from_output_splits_the_first_axis():
    """Means first, then scales through softplus, which never reach 0."""
    output = jnp.concatenate([jnp.full((2, 3), 0.5), jnp.full((2, 3), -200.0)])
    distribution = normal_from_output(output, min_scale=1e-3)
    np.testing.assert_array_equal(distribution.mean(), jnp.full((2, 3), 0.5))
    np.testing.assert_allclose(distribution.stddev(), jnp.full((2, 3), 1e-3), rtol=1e-6)


def test_scales_of_another_shape_are_an_error():
    """They are not broadcast in silence."""
    with pytest.raises(ValueError, match=r"`scale` must be a scalar or have the shape \(2, 3\); got \(3,\)"):
        normal(jnp.zeros((2, 3)), jnp.ones(3))


def test_bernoulli_is_scipys_and_distraxs():
    """Log-probability, entropy and moments in float64, far out too."""
    logits, x = RNG.normal(size=(2, 3)) * 30, RNG.integers(0, 2, (2, 3)).astype(float)
    with jax.enable_x64(True):
        ours, theirs = bernoulli(jnp.array(logits)), distrax.Bernoulli(jnp.array(logits))
        log_prob = ours.log_prob(jnp.array(x))
        np.testing.assert_allclose(ours.entropy(), theirs.entropy().sum(), rtol=1e-9)
        np.testing.assert_allclose(ours.variance(), theirs.variance(), rtol=1e-9, atol=1e-15)
        np.testing.assert_array_equal(ours.mode(), theirs.mode())
    expected = scipy.special.log_expit(np.where(x == 1, logits, -logits)).sum()
    np.testing.assert_allclose(log_prob, expected, rtol=1e-12)


def test_bernoulli_samples_are_floats_with_the_right_mean(key):
    """Frequencies within 4 standard errors."""
    logits = jnp.array([-2.0, 0.0, 1.0])
    samples = bernoulli(logits).sample(seed=key, sample_shape=(4000,))
    assert samples.dtype == jnp.float32
    assert set(np.unique(samples)) == {0.0, 1.0}
    p = scipy.special.expit(np.array(logits))
    np.testing.assert_array_less(np.abs(samples.mean(0) - p), 4 * np.sqrt(p * (1 - p) / 4000))


def test_categorical_is_a_log_softmax(key):
    """One integer for each entry."""
    logits = RNG.normal(size=(4, 5))
    x = np.array([0, 4, 2, 1])
    expected = (logits - scipy.special.logsumexp(logits, axis=1, keepdims=True))[np.arange(4), x].sum()
    distribution = categorical(jnp.array(logits, jnp.float32))
    np.testing.assert_allclose(distribution.log_prob(jnp.array(x)), expected, rtol=1e-5)
    assert distribution.sample(seed=key).shape == (4,)


@pytest.mark.parametrize("scale", [1e-3, 0.05, 1.0, 30.0])
@pytest.mark.parametrize("loc", [-1.5, 0.31, 40.0])
def test_discretized_logistic_sums_to_one(loc, scale):
    """Over the grid, in float32, inside and far outside of it."""
    grid = jnp.linspace(-1.0, 1.0, 256)
    log_probs = jax.vmap(discretized_logistic(jnp.array(loc), scale, -1.0, 1.0, 256).log_prob)(grid)
    np.testing.assert_allclose(jnp.exp(log_probs).sum(), 1.0, rtol=2e-5)


def test_discretized_logistic_is_a_difference_of_cdfs():
    """In float64, entry by entry, where the difference does not cancel."""
    loc, scale, num_levels = 0.4, 0.07, 17
    grid = np.linspace(0.0, 1.0, num_levels)
    upper = np.append(scipy.stats.logistic.cdf(grid[:-1] + 1 / 32, loc, scale), 1.0)
    lower = np.append(0.0, scipy.stats.logistic.cdf(grid[1:] - 1 / 32, loc, scale))
    with jax.enable_x64(True):
        log_probs = jax.vmap(discretized_logistic(jnp.array(loc), scale, num_levels=num_levels).log_prob)(
            jnp.array(grid)
        )
    np.testing.assert_allclose(np.exp(log_probs), upper - lower, rtol=1e-11)


def test_discretized_logistic_keeps_float32_precision_in_the_tails():
    """Hundreds of scales away, value and gradient agree with float64 arithmetic on the same formula's exact form."""
    loc, scale = jnp.array(0.0), jnp.array(0.002)

    def log_prob(loc, scale):
        return discretized_logistic(loc, scale).log_prob(jnp.array(200 / 255))

    value, gradients = jax.value_and_grad(log_prob, argnums=(0, 1))(loc, scale)
    # Far in the upper tail the density falls as exp(-x / scale), so P = exp(-(x - d/2)/s) (1 - exp(-d/s)).
    x, d, s = np.float64(200 / 255), 1 / 255, 0.002
    exact = -(x - d / 2) / s + np.log1p(-np.exp(-d / s))
    np.testing.assert_allclose(value, exact, rtol=1e-5)
    np.testing.assert_allclose(gradients[0], 1 / s, rtol=1e-5)
    slope = (x - d / 2) / s**2 - d / s**2 * np.exp(-d / s) / -np.expm1(-d / s)
    np.testing.assert_allclose(gradients[1], slope, rtol=1e-5)


def test_discretized_logistic_off_the_grid_is_impossible():
    """A value of another grid has probability 0, rounding errors do not count."""
    distribution = discretized_logistic(jnp.array(0.5), 0.1, num_levels=17)
    values = jnp.array([3 / 16, 3 / 16 + 1e-6, 3.3 / 16, -1 / 16, 17 / 16])
    assert jnp.isfinite(jax.vmap(distribution.log_prob)(values)).tolist() == [True, True, False, False, False]


def test_discretized_logistic_samples_and_mean(key):
    """Samples lie on the grid with the frequencies of the pmf (chi-square), and `mean` is that of the pmf."""
    loc, num_levels, num = jnp.array([0.1, 0.9]), 9, 8000
    distribution = discretized_logistic(loc, 0.12, 0.0, 1.0, num_levels)
    grid = jnp.linspace(0.0, 1.0, num_levels)
    entries = distribution.distribution
    probs = np.exp(jax.vmap(lambda x: entries.log_prob(jnp.full(2, x)))(grid))
    np.testing.assert_allclose(distribution.mean(), (probs * np.array(grid)[:, None]).sum(0), rtol=1e-5)
    samples = np.array(distribution.sample(seed=key, sample_shape=(num,)))
    np.testing.assert_allclose(samples * 8, np.round(samples * 8), atol=1e-5)
    for entry in range(2):
        counts = np.bincount(np.round(samples[:, entry] * 8).astype(int), minlength=num_levels)
        expected = num * probs[:, entry].astype(float)
        assert scipy.stats.chisquare(counts, expected * num / expected.sum()).pvalue > 1e-4


def test_discretized_logistic_refuses_an_empty_grid():
    """One level, or ends that are swapped."""
    with pytest.raises(ValueError, match="at least 2 levels"):
        discretized_logistic(jnp.zeros(2), 1.0, num_levels=1)
    with pytest.raises(ValueError, match="`low` must be less than `high`"):
        discretized_logistic(jnp.zeros(2), 1.0, 1.0, 0.0)


def test_mixture_of_vectors_and_mixtures_in_each_entry():
    """Both against a sum over components."""
    weights, loc, scale = RNG.normal(size=3), RNG.normal(size=(3, 2)), RNG.uniform(0.5, 2, (3, 2))
    log_weights = weights - scipy.special.logsumexp(weights)
    x = RNG.normal(size=2)
    parts = scipy.stats.norm.logpdf(x, loc, scale)
    with jax.enable_x64(True):
        vectors = mixture(jnp.array(weights), normal(jnp.array(loc), jnp.array(scale), batch_ndims=1))
        entries = mixture(
            jnp.tile(jnp.array(weights), (2, 1)), normal(jnp.array(loc.T), jnp.array(scale.T), batch_ndims=2)
        )
        got = vectors.log_prob(jnp.array(x)), entries.log_prob(jnp.array(x))
    expected = scipy.special.logsumexp(log_weights + parts.sum(1))
    np.testing.assert_allclose(got[0], expected, rtol=1e-12)
    expected = scipy.special.logsumexp(log_weights[:, None] + parts, axis=0).sum()
    np.testing.assert_allclose(got[1], expected, rtol=1e-12)
    with pytest.raises(ValueError, match="Build them with `batch_ndims`"):
        mixture(jnp.zeros(3), normal(jnp.zeros((3, 2)), 1.0))


def test_distributions_live_in_jit_vmap_and_grad(key):
    """Built inside, and handed to a compiled function from outside: one trace."""
    traces = []

    @jax.jit
    def total(distribution, x):
        traces.append(0)
        return distribution.log_prob(x)

    for loc in (0.1, 0.2):
        for make in (
            lambda loc: normal(loc, 1.0),
            bernoulli,
            lambda loc: discretized_logistic(loc, 0.3, num_levels=2),
        ):
            distribution, x = make(jnp.full((2, 2), loc)), jnp.ones((2, 2))
            np.testing.assert_allclose(total(distribution, x), distribution.log_prob(x), rtol=1e-6)
    assert len(traces) == 3

    def loss(loc):
        locs = jnp.stack([loc, 2 * loc])
        samples = jax.vmap(lambda loc, key: normal(loc, 0.5).sample(seed=key))(locs, jax.random.split(key))
        return jax.vmap(lambda loc, x: discretized_logistic(loc, 0.1, num_levels=5).log_prob(jnp.round(x)))(
            locs, jnp.clip(samples, 0, 1)
        ).sum()

    gradient = jax.jit(jax.grad(loss))(jnp.array([0.3, 0.4]))
    assert np.isfinite(gradient).all()
    assert (gradient != 0).all()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: normal(jnp.zeros(2), -1.0), "`scale` must be positive and finite; got -1. Pass a network's"),
        (lambda: laplace(jnp.zeros(2), jnp.array([1.0, 0.0])), "`scale` must be positive and finite; got 0"),
        (
            lambda: student_t(jnp.zeros(2), 1.0, jnp.inf),
            "`df` must be positive and finite; got inf.*take `normal`",
        ),
        (lambda: gamma(jnp.zeros(2), 1.0), "`concentration` must be positive and finite; got 0, 0"),
        (lambda: gamma(jnp.ones(2), -2.0), "`rate` must be positive"),
        (lambda: beta(jnp.ones(2), jnp.nan), "`beta` must be positive and finite; got nan"),
        (lambda: uniform(jnp.ones(2), 0.5), "`low` must be less than `high`; got 1, 1 and 0.5, 0.5. Swapped"),
        (
            lambda: dirichlet(jnp.ones(1)),
            r"at least 2 categories; got shape \(1,\). For one proportion take `beta`",
        ),
        (lambda: dirichlet(jnp.array([1.0, -1.0])), "`concentration` must be positive"),
        (
            lambda: categorical(jnp.array([0.0, jnp.nan])),
            "`logits` must hold numbers; 1 of 2 entries are NaN",
        ),
        (lambda: poisson(jnp.array([0.0])), "`rate` must be positive"),
        (lambda: negative_binomial(jnp.zeros(1), 0.0), "`total_count` must be positive"),
        (lambda: zero_inflated(jnp.zeros(2), poisson(jnp.ones(2))), "Build them with `batch_ndims=1`"),
        (lambda: gumbel_softmax(jnp.zeros(3), 0.0), "`temperature` must be positive.*take `one_hot`"),
        (lambda: multivariate_normal(jnp.zeros(2)), "either `covariance` or `scale_tril`; got both or none"),
        (
            lambda: multivariate_normal(jnp.zeros(2), jnp.eye(3)),
            r"must have the shape \(2, 2\).*got \(3, 3\)",
        ),
        (
            lambda: multivariate_normal(jnp.zeros(2), jnp.ones((2, 2)) - 2 * jnp.eye(2)),
            "positive definite; got a",
        ),
        (
            lambda: multivariate_normal(jnp.zeros(2), jnp.tri(2)),
            "`covariance` must be symmetric; got differences",
        ),
        (lambda: multivariate_normal(jnp.zeros(2), scale_tril=-jnp.eye(2)), "`scale_tril` must be positive"),
        (lambda: low_rank_normal(jnp.zeros(2), 1.0, jnp.ones((3, 1))), "`factor` must have the shape"),
        (lambda: low_rank_normal(jnp.zeros(2), 0.0, jnp.ones((2, 1))), "`scale` must be positive"),
        (lambda: one_hot(jnp.array([0.0, jnp.nan])), "`logits` must hold numbers"),
        (lambda: dirichlet(jnp.ones((3, 2)), batch_ndims=2), "`batch_ndims` may be at most 1.*got 2"),
    ],
)
def test_parameters_out_of_range_are_errors(make, message):
    """Requirement, what was got, and the fix, where values are known; inside of a trace nobody knows them."""
    with pytest.raises(ValueError, match=message):
        make()


def test_unknown_parameters_are_not_checked():
    """Inside of a trace."""
    assert jnp.isnan(jax.jit(lambda scale: normal(jnp.zeros(()), scale).log_prob(jnp.zeros(())))(-1.0))


def test_check_support_needs_a_leading_axis():
    """One event is not a batch."""
    with pytest.raises(ValueError, match=r"leading axis and then the event shape \(2,\); got \(2,\)"):
        check_support(normal(jnp.zeros(2), 1.0), jnp.zeros(2))
    check_support(uniform(jnp.zeros(2), 1.0), jnp.full((3, 2), 1.01), tolerance=0.02)
    with pytest.raises(TypeError, match="Gumbel does not say what its support is"):
        check_support(distrax.Gumbel(jnp.zeros(()), jnp.ones(())), jnp.zeros(2))


def test_straight_through_is_hard_with_a_soft_gradient():
    """The value is one-hot, the gradient that of the relaxed vector."""
    logits, weights = jnp.array([0.3, 1.0, -0.5]), jnp.array([1.0, 2.0, 3.0])
    hard, pull = jax.vjp(lambda logits: straight_through(jax.nn.softmax(logits)), logits)
    np.testing.assert_allclose(hard, [0.0, 1.0, 0.0], atol=1e-6)
    _, soft_pull = jax.vjp(jax.nn.softmax, logits)
    np.testing.assert_allclose(pull(weights)[0], soft_pull(weights)[0])
