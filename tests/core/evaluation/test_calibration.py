"""Simulation-based calibration: exact posteriors pass, wrong ones are found, and densities are used."""

import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import chisquare

from artifex.generative_models.core.evaluation import (
    Calibration,
    calibration_of_draws,
    simulation_based_calibration,
)

# theta ~ N(0, I), x = A theta + noise of standard deviation S. The posterior is normal, with the precision
# I + A^T A / S^2 and the mean covariance A^T x / S^2.
A = np.array([[1.0, 0.5], [-0.3, 1.2], [0.8, 0.0]])
S = 0.7
COVARIANCE = np.linalg.inv(np.eye(2) + A.T @ A / S**2)
ROOT = np.linalg.cholesky(COVARIANCE)
NUM = 400


def simulated(num, seed=0):
    """Parameters of the prior, and an observation of each."""
    rng = np.random.default_rng(seed)
    theta = rng.normal(size=(num, 2))
    return theta, theta @ A.T + S * rng.normal(size=(num, 3))


def posterior_mean(x):
    return x @ A / S**2 @ COVARIANCE


def drawn(x, *, scale=1.0, shift=0.0, num_draws=99, seed=1):
    """Draws of posteriors that are `scale` times as wide as the right ones, and shifted."""
    noise = np.random.default_rng(seed).normal(size=(len(x), num_draws, 2))
    return posterior_mean(x)[:, None] + shift + scale * noise @ ROOT.T


def log_density(theta, x):
    """Of the right posterior, but for a constant."""
    return -0.5 * np.sum(((theta - posterior_mean(x)) @ np.linalg.inv(ROOT).T) ** 2, axis=-1)


def test_the_right_posterior_is_calibrated():
    """P-values that are themselves uniform over repetitions, and coverage as the levels say."""
    levels = np.array([0.1, 0.5, 0.8, 0.95])
    p_values, shares = [], []
    for seed in range(40):
        theta, x = simulated(NUM, seed)
        draws = drawn(x, seed=1000 + seed)
        calibration = calibration_of_draws(
            theta, draws, log_prob=log_density(theta, x), draws_log_prob=log_density(draws, x[:, None])
        )
        p_values.append(calibration.p_values)
        shares.append([*calibration.coverage(levels).T, calibration.density_coverage(levels)])
    assert calibration.num_bins == 20  # 400 simulations, 20 a bin
    below = np.mean(np.array(p_values) < 0.2)
    assert abs(below - 0.2) < 4 * (0.2 * 0.8 / 80) ** 0.5
    found = np.mean(shares, axis=0)
    error = np.sqrt(levels * (1 - levels) / (40 * NUM))
    assert np.all(np.abs(found - levels) < 4 * error + 0.5 / 100)  # and a rank's place, half of 1 / 100


@pytest.mark.parametrize(("wrong", "is_below"), [({"scale": 0.6}, True), ({"scale": 1.6}, False)])
def test_wrong_widths_are_found(wrong, is_below):
    """Overconfident posteriors hold the truth too rarely, wide ones too often."""
    theta, x = simulated(NUM)
    draws = drawn(x, **wrong)
    calibration = calibration_of_draws(
        theta, draws, log_prob=log_density(theta, x), draws_log_prob=log_density(draws, x[:, None])
    )
    assert np.all(calibration.p_values < 1e-4)
    level = np.array([0.5])
    for share in (*calibration.coverage(level)[0], calibration.density_coverage(level)[0]):
        assert (share < 0.42) if is_below else (share > 0.58)


def test_shifts_are_found():
    """Where densities would not show them."""
    theta, x = simulated(NUM)
    calibration = calibration_of_draws(theta, drawn(x, shift=np.array([0.2, 0.0])))
    assert calibration.p_values[0] < 1e-4 < calibration.p_values[1]
    assert calibration.density_ranks is None and calibration.density_coverage(np.array([0.5])) is None


def test_ranks_and_test_against_loops_and_scipy():
    """Counted one by one; Pearson's test by SciPy."""
    rng = np.random.default_rng(0)
    theta, draws = rng.normal(size=(50, 3)), rng.normal(size=(50, 9, 3))
    calibration = calibration_of_draws(theta, draws, num_bins=5)
    for i in range(50):
        for j in range(3):
            assert calibration.ranks[i, j] == sum(draw < theta[i, j] for draw in draws[i, :, j])
    for j in range(3):
        counts = np.histogram(calibration.ranks[:, j], np.arange(-0.5, 10, 2.0))[0]
        np.testing.assert_array_equal(calibration.counts[:, j], counts)
        np.testing.assert_allclose(calibration.p_values[j], chisquare(counts).pvalue, rtol=1e-4)


class ExactPosterior:
    """The right posterior as a model, `scale` times as wide."""

    log_prob_kind = "exact"

    def __init__(self, scale=1.0):
        self.scale = scale
        self.sizes = []

    def loss(self, x, condition=None, *, key, step=None):
        raise NotImplementedError

    def generate(self, n_samples, *, key, condition=None, chunk_size=None):
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(n_samples))
        noise = np.asarray(jax.vmap(lambda key: jax.random.normal(key, (2,)))(keys))
        return posterior_mean(np.asarray(condition)) + self.scale * noise @ ROOT.T

    def log_prob(self, x, *, condition=None, key=None):
        self.sizes.append(len(x))
        return log_density(np.asarray(x), np.asarray(condition))


def test_a_model_is_judged_by_its_draws_and_densities(key):
    """In chunks as at once; an overconfident one is rejected."""
    theta, x = simulated(200)
    model = ExactPosterior()
    whole = simulation_based_calibration(model, theta, x, key=key, num_draws=19)
    chunked = simulation_based_calibration(model, theta, x, key=key, num_draws=19, chunk_size=1000)
    assert model.sizes == [200, 3800, 200, 1000, 1000, 1000, 1000]
    np.testing.assert_array_equal(whole.ranks, chunked.ranks)
    np.testing.assert_array_equal(whole.density_ranks, chunked.density_ranks)
    assert whole.num_bins == 10 and whole.p_values.min() > 0.01
    narrow = simulation_based_calibration(ExactPosterior(0.5), theta, x, key=key, num_draws=19)
    assert narrow.p_values.max() < 1e-4
    assert narrow.density_coverage(np.array([0.5]))[0] < 0.4
    without = types.SimpleNamespace(generate=model.generate)
    assert simulation_based_calibration(without, theta, x, key=key, num_draws=19).density_ranks is None


def test_what_does_not_fit(key):
    """Shapes, numbers, bins."""
    theta, x = simulated(100)
    with pytest.raises(ValueError, match=r"got \(100, 2\) and \(99, 9, 2\)"):
        calibration_of_draws(theta, np.zeros((99, 9, 2)))
    with pytest.raises(ValueError, match="must be finite"):
        calibration_of_draws(theta, np.full((100, 9, 2), np.nan))
    with pytest.raises(ValueError, match="give both"):
        calibration_of_draws(theta, np.zeros((100, 9, 2)), log_prob=np.zeros(100))
    with pytest.raises(ValueError, match="densities must have shapes"):
        calibration_of_draws(
            theta, np.zeros((100, 9, 2)), log_prob=np.zeros(100), draws_log_prob=np.zeros(100)
        )
    with pytest.raises(ValueError, match="divide num_draws \\+ 1 = 10; got 3"):
        calibration_of_draws(theta, np.zeros((100, 9, 2)), num_bins=3)
    with pytest.raises(ValueError, match="30 simulations are too few"):
        calibration_of_draws(theta[:30], np.zeros((30, 9, 2)))
    with pytest.raises(ValueError, match="equally many; got 100 and 99"):
        simulation_based_calibration(ExactPosterior(), theta, x[:99], key=key)
    assert Calibration(np.zeros((4, 1), np.int64), None, 9, 2).num_simulations == 4
