"""Rank histograms and coverage: bars, bands and lines against numbers worked out apart."""

import numpy as np
import pytest
from scipy.stats import binom

from artifex import visualization
from artifex.generative_models.core.evaluation import Calibration
from artifex.visualization.calibration import binomial_band


@pytest.fixture(scope="module")
def calibration():
    """Two parameters, 200 simulations, 9 draws, 5 bins; the second posterior is too narrow."""
    rng = np.random.default_rng(0)
    narrow = np.where(rng.uniform(size=200) < 0.5, 0, 9)
    ranks = np.stack([rng.integers(0, 10, 200), narrow], axis=1)
    return Calibration(ranks, rng.integers(0, 10, 200), num_draws=9, num_bins=5)


def test_bars_are_counts_and_the_band_is_binomial(calibration):
    figure = visualization.rank_histograms(calibration, names=["a", "b"], band=0.9)
    for index, axes in enumerate(figure.axes):
        counts, _ = np.histogram(calibration.ranks[:, index], np.arange(-0.5, 10, 2.0))
        band, *bars = axes.patches
        assert [bar.get_height() for bar in bars] == counts.tolist()
        np.testing.assert_allclose([bar.get_x() + bar.get_width() / 2 for bar in bars], np.arange(0.5, 10, 2))
        low, high = binom.ppf([0.05, 0.95], 200, 0.2)
        assert (band.get_y(), band.get_y() + band.get_height()) == (low, high)
    assert figure.axes[0].get_title() == f"a, p = {calibration.p_values[0]:.2g}"
    assert figure.axes[1].get_title().startswith("b, p = 0")


@pytest.mark.parametrize(("num", "num_bins", "probability"), [(50, 10, 0.99), (1000, 20, 0.95), (1, 2, 0.5)])
def test_band_agrees_with_scipy(num, num_bins, probability):
    tail = (1 - probability) / 2
    wanted = binom.ppf([tail, 1 - tail], num, 1 / num_bins)
    np.testing.assert_array_equal(binomial_band(num, num_bins, probability), wanted)


def test_coverage_lines_are_shares_of_regions(calibration):
    axes = visualization.coverage_curves(calibration, names=["a", "b"]).axes[0]
    diagonal, first, second, joint = axes.lines
    assert (first.get_label(), second.get_label(), joint.get_label()) == ("a", "b", "highest density")
    levels = first.get_xdata()
    np.testing.assert_array_equal(diagonal.get_xdata(), [0, 1])
    np.testing.assert_allclose(second.get_ydata()[levels < 0.9], 0.0)  # the truth is never among the draws
    middle = np.isin(calibration.ranks[:, 0], [3, 4, 5, 6]).mean()  # four of the ten places: level 0.4
    np.testing.assert_allclose(first.get_ydata()[np.isclose(levels, 0.4)], middle)
    below = (calibration.density_ranks < 3).mean()
    np.testing.assert_allclose(joint.get_ydata()[np.isclose(levels, 0.3)], below)


def test_wrong_settings_are_refused(calibration):
    with pytest.raises(ValueError, match="`band` must be a probability"):
        visualization.rank_histograms(calibration, band=1.0)
    with pytest.raises(ValueError, match="each of the 2 parameters; got 1"):
        visualization.coverage_curves(calibration, names=["a"])
