"""Transformed and autoregressive distributions against closed forms."""

import distrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from artifex.generative_models.core.distributions import (
    Autoregressive,
    Transformed,
    bernoulli,
    check_support,
    kl_divergence,
    mixture,
    multivariate_normal,
    normal,
    one_hot,
)


class Exp(eqx.Module):
    """Every entry; positive data."""

    def forward_and_log_det(self, x, condition=None):
        """Base to data."""
        return jnp.exp(x), jnp.sum(x)

    def inverse_and_log_det(self, y, condition=None):
        """Data to base."""
        x = jnp.log(y)
        return x, -jnp.sum(x)


class Affine(eqx.Module):
    """`matrix @ x + shift * condition`."""

    matrix: jax.Array
    shift: jax.Array

    def forward_and_log_det(self, x, condition=None):
        """Base to data."""
        return self.matrix @ x + self.shift * condition, jnp.linalg.slogdet(self.matrix)[1]

    def inverse_and_log_det(self, y, condition=None):
        """Data to base."""
        return jnp.linalg.solve(self.matrix, y - self.shift * condition), -jnp.linalg.slogdet(self.matrix)[1]


AFFINE = Affine(jnp.array([[1.0, 0.5], [-0.3, 2.0]]), jnp.array([1.0, -1.0]))


def test_exp_of_a_normal_is_log_normal(key):
    """SciPy's density, samples with their own log-probabilities, and the entropy's sign by both directions."""
    distribution = Transformed(normal(jnp.array([0.3]), 0.7), Exp())
    x = jnp.array([[1e-6], [0.5], [2.0], [1e4]])
    expected = scipy.stats.lognorm.logpdf(np.array(x)[:, 0], 0.7, scale=np.exp(np.float32(0.3)))
    np.testing.assert_allclose(jax.vmap(distribution.log_prob)(x), expected, rtol=1e-5)
    samples, log_probs = jax.jit(lambda d: d.sample_and_log_prob(seed=key, sample_shape=(2000,)))(
        distribution
    )
    np.testing.assert_allclose(log_probs, jax.vmap(distribution.log_prob)(samples), rtol=1e-4, atol=1e-5)
    cdf = scipy.stats.lognorm(0.7, scale=np.exp(0.3)).cdf
    assert scipy.stats.kstest(np.asarray(samples)[:, 0], cdf).pvalue > 1e-3
    check_support(distribution, samples)
    with pytest.raises(ValueError, match="got 1 of 2 outside: row 1 by inf"):
        check_support(distribution, jnp.array([[1.0], [-1.0]]))


def test_affine_map_with_a_condition(key):
    """A multivariate normal whose mean follows the condition; built under vmap over conditions, one trace."""
    traces = []

    @jax.jit
    @jax.vmap
    def log_prob(condition, y):
        traces.append(0)
        return Transformed(normal(jnp.zeros(2), 1.0), AFFINE, condition).log_prob(y)

    conditions, y = jnp.array([0.0, 2.0, -3.0]), jax.random.normal(key, (3, 2))
    for shift in (0.0, 1.0):
        got = log_prob(conditions + shift, y)
        for row in range(3):
            exact = multivariate_normal(
                AFFINE.shift * (conditions[row] + shift), AFFINE.matrix @ AFFINE.matrix.T
            ).log_prob(y[row])
            np.testing.assert_allclose(got[row], exact, rtol=1e-4)
    assert len(traces) == 1
    gradient = jax.grad(lambda c: Transformed(normal(jnp.zeros(2), 1.0), AFFINE, c).log_prob(y[0]))(1.0)
    assert np.isfinite(gradient) and gradient != 0


def test_divergence_through_one_bijection():
    """That of the bases; of two bijections there is no closed form."""
    base, other = normal(jnp.zeros(2), 1.0), normal(jnp.ones(2), 2.0)
    p, q = Transformed(base, AFFINE), Transformed(other, AFFINE)
    np.testing.assert_allclose(kl_divergence(p, q), kl_divergence(base, other))
    with pytest.raises(TypeError, match="Transformed and Transformed; estimate it with monte_carlo_kl"):
        kl_divergence(p, Transformed(other, Exp()))
    with pytest.raises(ValueError, match="`base` must be the distribution of one event"):
        Transformed(normal(jnp.zeros((3, 2)), 1.0, batch_ndims=1), Exp())


def random_walk(sequence, index, condition):
    """Steps of size `condition`, with drift."""
    previous = jnp.where(index == 0, 0.0, sequence[index - 1])
    return normal(0.9 * previous + 0.1, condition)


def test_random_walk_is_a_multivariate_normal(key):
    """Log-probabilities by its covariance; samples of one scan by their moments."""
    length, num = 4, 4000
    walk = Autoregressive(random_walk, length, condition=jnp.array(0.5))
    powers = 0.9 ** np.subtract.outer(np.arange(length), np.arange(length))
    root = 0.5 * np.tril(powers)
    mean = np.tril(powers) @ np.full(length, 0.1)
    samples, log_probs = jax.jit(lambda d: d.sample_and_log_prob(seed=key, sample_shape=(num,)))(walk)
    expected = scipy.stats.multivariate_normal.logpdf(np.array(samples, float), mean, root @ root.T)
    np.testing.assert_allclose(log_probs, expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(jax.vmap(walk.log_prob)(samples), expected, rtol=1e-4, atol=1e-4)
    error = 4.5 * np.sqrt(np.diag(root @ root.T) / num)
    np.testing.assert_array_less(np.abs(np.asarray(samples).mean(0) - mean), error)
    np.testing.assert_allclose(np.cov(np.asarray(samples).T), root @ root.T, atol=0.06)
    check_support(walk, samples)


def test_an_element_sees_only_those_before():
    """Even of a function that looks at the whole sequence: the Jacobian of the logits is strictly triangular."""

    def peeks(sequence, index, condition):
        return bernoulli(jnp.sum(sequence * jnp.arange(1.0, 5.0)) - index)

    walk = Autoregressive(peeks, 4)
    x = jnp.array([1.0, 0.0, 1.0, 1.0])

    def logits(x):
        return jax.vmap(lambda index: walk._at(x, index).logits)(jnp.arange(4))

    np.testing.assert_array_equal(jax.jacobian(logits)(x) != 0, np.tril(np.ones((4, 4)), -1) == 1)
    sequences = jnp.array(np.indices((2, 2, 2, 2)).reshape(4, -1).T, jnp.float32)
    np.testing.assert_allclose(jnp.exp(jax.vmap(walk.log_prob)(sequences)).sum(), 1.0, rtol=1e-5)


def test_a_rule_is_generated(key):
    """Sequences of vectors in which each category follows from the one before: all samples obey."""

    def rule(sequence, index, condition):
        previous = jnp.argmax(sequence[index - 1])
        following = jnp.where(index == 0, 0, (previous + 1) % 3)
        return one_hot(jnp.where(jnp.arange(3) == following, 50.0, 0.0))

    samples = Autoregressive(rule, 6, (3,)).sample(seed=key, sample_shape=(20,))
    np.testing.assert_array_equal(samples.argmax(-1), np.tile([0, 1, 2, 0, 1, 2], (20, 1)))


def test_errors_of_autoregressive_distributions():
    """Elements of another shape, and no elements."""
    with pytest.raises(ValueError, match=r"one element, of shape \(\); got the event shape \(3,\)"):
        Autoregressive(lambda *_: normal(jnp.zeros(3), 1.0), 2).log_prob(jnp.zeros(2))
    with pytest.raises(ValueError, match="`length` must be at least 1; got 0"):
        Autoregressive(random_walk, 0)


def test_mixture_of_vectors_keeps_infinite_parts_apart():
    """A component that cannot make the event has no share, and gives no NaN."""
    parts = mixture(jnp.array([0.0, -jnp.inf]), normal(jnp.zeros((2, 3)), 1.0, batch_ndims=1))
    np.testing.assert_allclose(parts.responsibilities(jnp.ones(3)), [1.0, 0.0])
    assert np.isfinite(jax.grad(parts.log_prob)(jnp.ones(3))).all()
    assert isinstance(parts, distrax.Distribution)
