"""Losses against NumPy, SciPy, Monte Carlo and brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats

from artifex.generative_models.core import losses
from artifex.generative_models.core.trainable import Buffer


def _pair(shape=(3, 4), seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=shape).astype(np.float32), rng.normal(size=shape).astype(np.float32)


# Reconstruction


def _huber(p, t):
    return scipy.special.huber(1.0, p - t)


POINTWISE = {
    "mse": (losses.mse, lambda p, t: (p - t) ** 2),
    "mae": (losses.mae, lambda p, t: np.abs(p - t)),
    "huber": (losses.huber, _huber),
    "charbonnier": (losses.charbonnier, lambda p, t: np.sqrt((p - t) ** 2 + 1e-6)),
}


@pytest.mark.parametrize("name", POINTWISE)
def test_pointwise_values_and_reductions(name):
    loss, reference = POINTWISE[name]
    p, t = _pair((5, 2, 3))
    values = reference(p.astype(np.float64), t.astype(np.float64))
    np.testing.assert_allclose(loss(p, t, reduce="none"), values, rtol=2e-6)
    np.testing.assert_allclose(loss(p, t), values.mean(), rtol=1e-6)
    np.testing.assert_allclose(loss(p, t, reduce="sum"), values.sum(), rtol=1e-6)
    np.testing.assert_allclose(loss(p, t, reduce="batch_mean"), values.sum((1, 2)).mean(), rtol=1e-6)
    gradient = jax.grad(loss)(jnp.asarray(p), jnp.asarray(p))
    np.testing.assert_allclose(gradient, 0.0, atol=1e-7)  # finite, and a minimum, at equality


def test_pointwise_losses_reject_what_would_broadcast():
    with pytest.raises(ValueError, match="same shape"):
        losses.mse(jnp.zeros((4, 1)), jnp.zeros(4))
    with pytest.raises(ValueError, match="at least one entry"):
        losses.mse(jnp.zeros(0), jnp.zeros(0))
    with pytest.raises(ValueError, match="batch axis"):
        losses.mse(jnp.zeros(()), jnp.zeros(()), reduce="batch_mean")
    with pytest.raises((ValueError, TypeError)):
        losses.mse(jnp.zeros(2), jnp.zeros(2), reduce="average")
    with pytest.raises(ValueError, match="`delta`"):
        losses.huber(jnp.zeros(2), jnp.zeros(2), delta=0.0)
    with pytest.raises(ValueError, match="`epsilon`"):
        losses.charbonnier(jnp.zeros(2), jnp.zeros(2), epsilon=-1.0)


def test_losses_are_computed_in_float32():
    values = losses.mse(jnp.full(1000, 1.0 + 2**-6, jnp.bfloat16), jnp.ones(1000, jnp.uint8))
    assert values.dtype == jnp.float32
    np.testing.assert_allclose(values, 2.0**-12, rtol=1e-6)


def test_binary_cross_entropy():
    rng = np.random.default_rng(0)
    logits = np.concatenate([rng.normal(size=20), [-90.0, -20.0, 0.0, 20.0, 90.0]])
    target = np.concatenate([rng.uniform(size=20), [1.0, 0.0, 0.3, 1.0, 0.0]])
    expected = target * np.logaddexp(0, -logits) + (1 - target) * np.logaddexp(0, logits)
    logits, target = logits.astype(np.float32), target.astype(np.float32)
    got = losses.binary_cross_entropy_with_logits(logits, target, reduce="none")
    np.testing.assert_allclose(got, expected, rtol=3e-6)
    gradient = jax.grad(losses.binary_cross_entropy_with_logits)(jnp.asarray(logits), jnp.asarray(target))
    np.testing.assert_allclose(gradient, (scipy.special.expit(logits) - target) / 25, atol=1e-7)

    probabilities = scipy.special.expit(logits[:20])
    got = losses.binary_cross_entropy(probabilities, target[:20], reduce="none")
    np.testing.assert_allclose(got, expected[:20], rtol=1e-5)


def test_binary_cross_entropy_of_saturated_probabilities():
    p, t = jnp.array([0.0, 1.0, 0.0, 1.0]), jnp.array([0.0, 1.0, 1.0, 0.0])
    values, gradient = jax.vmap(jax.value_and_grad(losses.binary_cross_entropy))(p, t)
    np.testing.assert_allclose(values[:2], 0.0, atol=1e-7)
    np.testing.assert_allclose(values[2:], 24 * np.log(2), rtol=1e-3)  # the rounding unit is 2^-24
    assert np.all(np.isfinite(gradient)) and gradient[2] < -1e6 and gradient[3] > 1e6


# Divergences


def _normals(shape=(6, 2)):
    rng = np.random.default_rng(3)
    return [
        (rng.normal(size=shape).astype(np.float32), np.exp(0.4 * rng.normal(size=shape)).astype(np.float32))
        for _ in range(2)
    ]


def test_kl_normal_by_quadrature_of_its_definition():
    p, q = _normals((4,))
    grid = np.linspace(-30, 30, 60_001)[:, None]
    log_p, log_q = (scipy.stats.norm.logpdf(grid, *d) for d in (p, q))
    expected = np.trapezoid(np.exp(log_p) * (log_p - log_q), grid, axis=0)
    np.testing.assert_allclose(losses.kl_normal(p, q, reduce="none"), expected, rtol=1e-4, atol=1e-6)
    reverse = np.trapezoid(np.exp(log_q) * (log_q - log_p), grid, axis=0)
    np.testing.assert_allclose(losses.reverse_kl_normal(p, q, reduce="none"), reverse, rtol=1e-4, atol=1e-6)
    standard = (np.zeros(4, np.float32), np.ones(4, np.float32))
    np.testing.assert_allclose(
        losses.kl_standard_normal(*p, reduce="none"), losses.kl_normal(p, standard, reduce="none"), rtol=1e-5
    )


def test_kl_normal_by_monte_carlo():
    p, q = _normals()
    samples = p[0] + p[1] * np.random.default_rng(0).normal(size=(40_000, 6, 2))
    log_ratio = (scipy.stats.norm.logpdf(samples, *p) - scipy.stats.norm.logpdf(samples, *q)).sum(-1)
    standard_error = log_ratio.std(0) / np.sqrt(len(samples))
    closed = losses.kl_normal(p, q, reduce="none").sum(-1)
    assert np.all(np.abs(log_ratio.mean(0) - closed) < 4 * standard_error)
    np.testing.assert_allclose(losses.kl_normal(p, q, reduce="batch_mean"), np.mean(closed), rtol=1e-5)


@pytest.mark.parametrize("alpha", [0.3, 0.5, 1.3])
def test_renyi_and_alpha_divergences_by_quadrature(alpha):
    p, q = _normals((4,))
    grid = np.linspace(-40, 40, 80_001)[:, None]
    log_p, log_q = (scipy.stats.norm.logpdf(grid, *d) for d in (p, q))
    integral = np.trapezoid(np.exp(alpha * log_p + (1 - alpha) * log_q), grid, axis=0)
    got = losses.renyi_normal(p, q, alpha=alpha, reduce="none")
    np.testing.assert_allclose(got, np.log(integral) / (alpha - 1), rtol=1e-4, atol=1e-5)
    # Over the last axis the densities multiply, hence the integrals do.
    expected = (1 - np.prod(integral)) / (alpha * (1 - alpha))
    np.testing.assert_allclose(losses.alpha_normal(p, q, alpha=alpha), expected, rtol=1e-4)


def test_renyi_and_alpha_divergence_limits():
    p, q = _normals((4,))
    kl, reverse = (losses.kl_normal(a, b, reduce="sum") for a, b in ((p, q), (q, p)))
    np.testing.assert_allclose(losses.renyi_normal(p, q, alpha=1.0, reduce="sum"), kl, rtol=1e-6)
    np.testing.assert_allclose(losses.renyi_normal(p, q, alpha=1.001, reduce="sum"), kl, rtol=1e-2)
    np.testing.assert_allclose(losses.alpha_normal(p, q, alpha=1.0), kl, rtol=1e-6)
    np.testing.assert_allclose(losses.alpha_normal(p, q, alpha=0.0), reverse, rtol=1e-6)
    np.testing.assert_allclose(losses.alpha_normal(p, q, alpha=0.001), reverse, rtol=2e-2)
    zero = np.zeros(1, np.float32)
    diverging = ((zero, np.full(1, 2.0, np.float32)), (zero, np.ones(1, np.float32)))
    assert losses.renyi_normal(*diverging, alpha=2.0) == np.inf
    with pytest.raises(ValueError, match="`alpha`"):
        losses.renyi_normal(p, q, alpha=0.0)
    with pytest.raises(ValueError, match="same shape"):
        losses.kl_normal((zero, zero), (p[0], p[1]))


DISCRETE = {
    "kl": (losses.kl_categorical, lambda p, q: scipy.special.rel_entr(p, q).sum(-1)),
    "reverse_kl": (losses.reverse_kl_categorical, lambda p, q: scipy.special.rel_entr(q, p).sum(-1)),
    "jensen_shannon": (
        losses.jensen_shannon,
        lambda p, q: (
            0.5 * (scipy.special.rel_entr(p, (p + q) / 2) + scipy.special.rel_entr(q, (p + q) / 2)).sum(-1)
        ),
    ),
    "total_variation": (losses.total_variation_distance, lambda p, q: 0.5 * np.abs(p - q).sum(-1)),
    "hellinger": (losses.hellinger, lambda p, q: 1.0 - np.sqrt(p * q).sum(-1)),
    "chi_square": (
        losses.chi_square,
        lambda p, q: np.where(q > 0, p**2 / np.where(q > 0, q, 1), np.where(p > 0, np.inf, 0)).sum(-1) - 1.0,
    ),
}


@pytest.mark.parametrize("name", DISCRETE)
def test_categorical_divergences(name):
    """Random distributions, and ones with classes of probability 0 in p, in q, and in both."""
    loss, reference = DISCRETE[name]
    p, q = _pair((5, 4), seed=1)
    p[1, 2] = q[2, 1] = p[3, 0] = q[3, 0] = -np.inf
    got = loss(p, q, reduce="none")
    with np.errstate(divide="ignore"):
        expected = reference(*(scipy.special.softmax(a.astype(np.float64), -1) for a in (p, q)))
    np.testing.assert_allclose(got, expected, rtol=2e-5, atol=1e-6)
    np.testing.assert_allclose(loss(p, p), 0.0, atol=1e-6)
    gradient = jax.grad(loss)(jnp.asarray(p[3:]), jnp.asarray(q[3:]))
    assert np.all(np.isfinite(gradient))


def test_kl_bernoulli():
    p, q = _pair((7,))
    pair = [np.stack([np.zeros(7), logits], -1).astype(np.float32) for logits in (p, q)]
    expected = losses.kl_categorical(*pair, reduce="none")
    np.testing.assert_allclose(losses.kl_bernoulli(p, q, reduce="none"), expected, rtol=1e-4, atol=1e-6)
    far = losses.kl_bernoulli(np.float32([80.0]), np.float32([-80.0]))
    np.testing.assert_allclose(far, 80.0, rtol=1e-5)


# Two-sample distances


def _brute_force(function, x, y, unbiased):
    n, m = len(x), len(y)
    within_x = [function(x[i], x[j]) for i in range(n) for j in range(n) if i != j or not unbiased]
    within_y = [function(y[i], y[j]) for i in range(m) for j in range(m) if i != j or not unbiased]
    between = [function(a, b) for a in x for b in y]
    return np.mean(within_x), np.mean(within_y), np.mean(between)


@pytest.mark.parametrize("estimator", ["unbiased", "biased"])
def test_mmd_and_energy_distance_by_brute_force(estimator):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(5, 2, 2)).astype(np.float32), rng.normal(size=(4, 2, 2)).astype(np.float32) + 0.5
    unbiased = estimator == "unbiased"

    def rbf(a, b):
        return np.mean([np.exp(-np.sum((a - b) ** 2) / (2 * s**2)) for s in (0.7, 2.0)])

    def imq(a, b):
        return np.mean([s**2 / (s**2 + np.sum((a - b) ** 2)) for s in (0.7, 2.0)])

    for kernel, reference in ((losses.RBFKernel((0.7, 2.0)), rbf), (losses.IMQKernel((0.7, 2.0)), imq)):
        xx, yy, xy = _brute_force(reference, x, y, unbiased)
        got = losses.mmd_batch(x, y, kernel=kernel, estimator=estimator)
        np.testing.assert_allclose(got, xx + yy - 2 * xy, rtol=1e-4, atol=1e-6)
    xx, yy, xy = _brute_force(lambda a, b: np.linalg.norm((a - b).ravel()), x, y, unbiased)
    got = losses.energy_distance_batch(x, y, estimator=estimator)
    np.testing.assert_allclose(got, 2 * xy - xx - yy, rtol=1e-4, atol=1e-6)


def _repeated(loss, shift, repeats=3000, n=6, m=5):
    """Estimates on many independent small pairs of batches from N(0, 1) and N(shift, 1)."""
    key_x, key_y = jax.random.split(jax.random.key(0))
    x = jax.random.normal(key_x, (repeats, n, 1))
    y = shift + jax.random.normal(key_y, (repeats, m, 1))
    estimates = np.asarray(jax.jit(jax.vmap(loss))(x, y))
    return estimates.mean(), estimates.std() / np.sqrt(repeats)


def _mmd(x, y):
    return losses.mmd_batch(x, y, kernel=losses.RBFKernel((1.0,)))


def test_mmd_and_energy_distance_are_unbiased():
    """Against closed forms for normals: x - y is N(shift, 2)."""
    shift = 0.8
    # E exp(-d^2 / 2) for d ~ N(mu, 2) is exp(-mu^2 / 6) / sqrt(3).
    mean, error = _repeated(_mmd, shift)
    assert abs(mean - 2 * (1 - np.exp(-(shift**2) / 6)) / np.sqrt(3)) < 4 * error
    mean, error = _repeated(_mmd, 0.0)
    assert abs(mean) < 4 * error
    # E |d| of a folded normal.
    scale = np.sqrt(2)
    folded = scale * np.sqrt(2 / np.pi) * np.exp(-(shift**2) / (2 * scale**2)) + shift * (
        1 - 2 * scipy.stats.norm.cdf(-shift / scale)
    )
    mean, error = _repeated(losses.energy_distance_batch, shift)
    assert abs(mean - 2 * (folded - 2 / np.sqrt(np.pi))) < 4 * error
    mean, error = _repeated(losses.energy_distance_batch, 0.0)
    assert abs(mean) < 4 * error


def test_two_sample_gradients_are_finite_at_coinciding_points():
    x = jnp.ones((4, 3))
    for loss in (losses.mmd_batch, losses.energy_distance_batch):
        assert np.all(np.isfinite(jax.grad(loss)(x, x)))
    assert np.all(np.isfinite(jax.grad(losses.sliced_wasserstein_batch)(x, x, key=jax.random.key(0))))


def test_two_sample_distances_reject_bad_batches():
    with pytest.raises(ValueError, match="two samples"):
        losses.mmd_batch(jnp.zeros((1, 2)), jnp.zeros((3, 2)))
    with pytest.raises(ValueError, match="one shape"):
        losses.energy_distance_batch(jnp.zeros((3, 2)), jnp.zeros((3, 1)))
    with pytest.raises(ValueError, match="equally many"):
        losses.sliced_wasserstein_batch(jnp.zeros((3, 2)), jnp.zeros((4, 2)), key=jax.random.key(0))
    with pytest.raises(ValueError, match="`scales`"):
        losses.RBFKernel(())


def test_sliced_wasserstein_of_a_shift(key):
    """A shift by v moves each projection by <v, direction>, whose square has mean |v|^2 / size."""
    x = jax.random.normal(key, (50, 3))
    shift = jnp.array([[1.0, -2.0, 2.0]])
    got = losses.sliced_wasserstein_batch(x, x[::-1] + shift, key=key, num_projections=4000)
    # <v, u>^2 / |v|^2 is Beta(1/2, 1): standard deviation 0.298.
    assert abs(got - 3.0) < 4 * 9 * 0.298 / np.sqrt(4000)


# Regularizers


def test_parameter_penalties_leave_buffers_alone():
    model = {"weight": jnp.array([[3.0, -4.0]]), "statistics": Buffer(jnp.ones(5)), "count": jnp.array(2)}
    np.testing.assert_allclose(losses.l1(model), 7.0)
    np.testing.assert_allclose(losses.l2(model), 25.0)
    assert losses.l2({"count": 3}) == 0.0
    np.testing.assert_array_equal(jax.grad(losses.l1)(jnp.array([0.0, 2.0])), [0.0, 1.0])


def test_orthogonality():
    rng = np.random.default_rng(0)
    rotation = np.linalg.qr(rng.normal(size=(4, 4)))[0].astype(np.float32)
    for weight in (rotation, rotation[:2], rotation[:, :3], rotation.reshape(4, 1, 2, 2)):
        np.testing.assert_allclose(losses.orthogonality(weight), 0.0, atol=1e-10)
    weight = rng.normal(size=(2, 3)).astype(np.float32)
    expected = np.linalg.norm(weight @ weight.T - np.eye(2)) ** 2
    np.testing.assert_allclose(losses.orthogonality(weight), expected, rtol=1e-5)
    np.testing.assert_allclose(losses.orthogonality(weight.T), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="matrix"):
        losses.orthogonality(jnp.zeros(3))


def test_gradient_penalty():
    x = jax.random.normal(jax.random.key(0), (5, 2, 3))
    got = losses.gradient_penalty(lambda x: 0.5 * jnp.sum(x**2), x, reduce="none")
    np.testing.assert_allclose(got, (np.linalg.norm(x.reshape(5, -1), axis=1) - 1) ** 2, rtol=1e-5)
    squared = losses.gradient_penalty(lambda x: 0.5 * jnp.sum(x**2), x, target=0.0)
    np.testing.assert_allclose(squared, np.mean(np.sum(np.square(x), (1, 2))), rtol=1e-5)

    def of_slope(slope):
        return losses.gradient_penalty(lambda x: slope * jnp.sum(x), x)

    assert np.isfinite(jax.grad(of_slope)(0.0))


def test_jacobian_penalty_is_unbiased(key):
    matrix = jax.random.normal(key, (3, 4))
    x = jnp.zeros((2, 4))
    got = losses.jacobian_penalty(lambda x: matrix @ x, x, key=key, num_projections=4000, reduce="none")
    squares = np.linalg.svd(matrix, compute_uv=False) ** 2
    # v^T J J^T v over the unit sphere of R^3 has variance 2 (3 sum s^2 - (sum s)^2) / (9 * 5), s = eigenvalues.
    variance = 9 * 2 * (3 * np.sum(squares**2) - np.sum(squares) ** 2) / 45
    assert np.all(np.abs(got - squares.sum()) < 4 * np.sqrt(variance / 4000))
    assert got[0] != got[1]


def test_total_variation():
    images = np.random.default_rng(0).normal(size=(2, 3, 4, 5)).astype(np.float32)
    expected = np.abs(np.diff(images, axis=2)).sum((1, 2, 3)) + np.abs(np.diff(images, axis=3)).sum((1, 2, 3))
    np.testing.assert_allclose(losses.total_variation(images, reduce="none"), expected, rtol=1e-5)
    assert losses.total_variation(np.ones((1, 4, 5), np.float32)) == 0.0
