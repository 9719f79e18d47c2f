"""Every closed-form KL divergence against Monte Carlo, in standard errors."""

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.distributions import (
    bernoulli,
    beta,
    categorical,
    dirichlet,
    discretized_logistic,
    gamma,
    kl_divergence,
    laplace,
    low_rank_normal,
    mixture,
    monte_carlo_kl,
    multivariate_normal,
    normal,
    one_hot,
    poisson,
    uniform,
)

NUM_SAMPLES = 20_000
PAIRS = {
    "normal": (
        normal(jnp.array([[0.3, -1.0]]), jnp.array([[0.5, 1.5]])),
        normal(jnp.array([[0.0, 0.4]]), jnp.array([[1.0, 0.9]])),
    ),
    "bernoulli": (bernoulli(jnp.array([-1.0, 2.0, 0.1])), bernoulli(jnp.array([0.5, 0.5, -0.2]))),
    "categorical": (
        categorical(jnp.array([[0.1, 0.5, -1.0], [2.0, 0.0, 0.0]])),
        categorical(jnp.array([[0.0, 0.0, 0.0], [0.3, -0.3, 1.0]])),
    ),
    "laplace": (laplace(jnp.array([0.3, 1.0]), 0.5), laplace(jnp.array([0.0, 1.2]), 1.5)),
    "uniform": (uniform(jnp.zeros(2), 1.0), uniform(jnp.full(2, -1.0), jnp.array([1.0, 2.0]))),
    "gamma": (gamma(jnp.array([2.0, 40.0]), 3.0), gamma(jnp.array([1.5, 30.0]), 2.0)),
    "beta": (beta(jnp.array([2.0, 0.6]), 30.0), beta(jnp.array([1.5, 1.0]), 20.0)),
    "dirichlet": (dirichlet(jnp.array([1.0, 2.0, 13.0])), dirichlet(jnp.array([2.0, 2.0, 9.0]))),
    "poisson": (poisson(jnp.array([2.0, 30.0])), poisson(jnp.array([3.0, 28.0]))),
    "multivariate": (
        multivariate_normal(jnp.array([0.3, 1.0]), jnp.array([[1.0, 0.4], [0.4, 0.7]])),
        multivariate_normal(jnp.array([0.0, 0.8]), jnp.array([[1.5, -0.4], [-0.4, 0.6]])),
    ),
    "low_rank": (
        low_rank_normal(jnp.array([0.3, 1.0, 0.0]), 0.5, jnp.array([[1.0], [0.5], [-0.2]])),
        low_rank_normal(jnp.zeros(3), 0.7, jnp.array([[0.4], [0.5], [-0.8]])),
    ),
    "diagonal_and_full": (
        normal(jnp.array([0.3, 1.0]), jnp.array([0.5, 0.9])),
        multivariate_normal(jnp.array([0.0, 0.8]), jnp.array([[1.5, -0.4], [-0.4, 0.6]])),
    ),
    "low_rank_and_diagonal": (
        low_rank_normal(jnp.array([0.3, 1.0]), 0.5, jnp.array([[1.0], [0.5]])),
        normal(jnp.zeros(2), jnp.array([1.2, 0.9])),
    ),
    "one_hot": (one_hot(jnp.array([0.1, 0.5, -1.0])), one_hot(jnp.zeros(3))),
    # What distrax knows beyond these comes through the same function.
    "distrax_gumbel": (distrax.Gumbel(0.0, 1.0), distrax.Gumbel(0.5, 2.0)),
    "distrax_von_mises": (distrax.VonMises(0.0, 2.0), distrax.VonMises(0.5, 1.0)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_closed_form_is_the_monte_carlo_mean(name, key):
    """Within 4 standard errors; the uniform pair has none, its log-ratio is constant."""
    p, q = PAIRS[name]
    with jax.numpy_rank_promotion("allow"):  # distrax's own samplers rely on it

        @jax.jit
        def estimate(key):
            samples = p.sample(seed=key, sample_shape=(NUM_SAMPLES,))
            return jax.vmap(lambda x: p.log_prob(x) - q.log_prob(x))(samples), kl_divergence(p, q)

        ratios, exact = estimate(key)
    ratios = np.array(ratios, np.float64)
    assert exact.shape == ()
    assert abs(ratios.mean() - exact) <= 4 * ratios.std() / NUM_SAMPLES**0.5 + 1e-5
    assert abs(exact) > 0.01


@pytest.mark.parametrize("name", [name for name in PAIRS if "distrax" not in name and "_and_" not in name])
def test_a_distribution_does_not_diverge_from_itself(name):
    """Exactly 0."""
    p, _ = PAIRS[name]
    np.testing.assert_allclose(kl_divergence(p, p), 0.0, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "p", "q"),
    [
        (gamma, (5e4, 20.0), (5.01e4, 20.1)),
        (beta, (3e4, 9e4), (3.01e4, 9.02e4)),
        (gamma, (1e-2, 1.0), (0.3, 2.0)),
    ],
)
def test_divergences_do_not_cancel(make, p, q):
    """Large and nearly equal parameters in float32, against distrax's formula in float64."""
    ours = kl_divergence(make(*map(jnp.float32, p)), make(*map(jnp.float32, q)))
    theirs = {gamma: distrax.Gamma, beta: distrax.Beta}[make]
    with jax.enable_x64(True):
        exact = [[jnp.asarray(np.float32(value), jnp.float64) for value in values] for values in (p, q)]
        expected = theirs(*exact[0]).kl_divergence(theirs(*exact[1]))
    np.testing.assert_allclose(ours, expected, rtol=1e-4)


def test_impossible_categories():
    """What p never does counts 0, in the gradient too; what only q never does makes it infinite."""
    p, q = jnp.array([0.0, -jnp.inf, 1.0]), jnp.array([0.3, 0.2, 0.1])
    exact = np.exp([-np.log1p(np.e), 1 - np.log1p(np.e)])
    log_q = np.array(jax.nn.log_softmax(q))[[0, 2]]
    np.testing.assert_allclose(
        kl_divergence(categorical(p), categorical(q)), (exact * (np.log(exact) - log_q)).sum(), rtol=1e-5
    )
    for index in (0, 1):
        gradient = jax.grad(lambda *logits: kl_divergence(*map(categorical, logits)), argnums=index)(p, q)
        assert np.isfinite(gradient).all()
    assert kl_divergence(categorical(q), categorical(p)) == jnp.inf


def test_bernoulli_divergence_of_certain_events():
    """Probabilities that round to 0 or 1 give finite values and gradients."""
    certain, even = jnp.array([100.0, -100.0]), jnp.zeros(2)
    np.testing.assert_allclose(kl_divergence(bernoulli(certain), bernoulli(even)), 2 * np.log(2), rtol=1e-6)
    gradient = jax.grad(lambda logits: kl_divergence(bernoulli(logits), bernoulli(even)))(certain)
    assert np.isfinite(gradient).all()


def test_monte_carlo_estimate(key):
    """Close to the closed form, and there where none is known: a mixture of two equal parts is the part."""
    p, q = PAIRS["normal"]
    estimate = monte_carlo_kl(p, q, key=key, num_samples=NUM_SAMPLES)
    np.testing.assert_allclose(estimate, kl_divergence(p, q), atol=0.05)
    parts = mixture(jnp.zeros(2), normal(jnp.zeros((2, 3)), 1.0, batch_ndims=1))
    np.testing.assert_allclose(
        monte_carlo_kl(parts, normal(jnp.zeros(3), 1.0), key=key, num_samples=10), 0.0, atol=1e-5
    )


def test_errors_name_the_way_out(key):
    """No closed form, other shapes, no samples."""
    p = normal(jnp.zeros(2), 1.0)
    parts = mixture(jnp.zeros(3), normal(jnp.zeros((3, 2)), 1.0, batch_ndims=1))
    with pytest.raises(TypeError, match=r"Independent\(Normal\) and .*Mixture.*monte_carlo_kl"):
        kl_divergence(p, parts)
    with pytest.raises(TypeError, match="monte_carlo_kl"):
        kl_divergence(parts, p)
    logistic = discretized_logistic(jnp.zeros(2), 1.0)
    with pytest.raises(TypeError, match="DiscretizedLogistic"):
        kl_divergence(logistic, logistic)
    with pytest.raises(TypeError, match="Bernoulli"):
        kl_divergence(bernoulli(jnp.zeros(2)), p)
    with pytest.raises(ValueError, match=r"one event shape; got \(2,\) and \(3,\)"):
        kl_divergence(p, normal(jnp.zeros(3), 1.0))
    with pytest.raises(ValueError, match="`num_samples` must be at least 1"):
        monte_carlo_kl(p, p, key=key, num_samples=0)
