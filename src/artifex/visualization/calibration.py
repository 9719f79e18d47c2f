"""Calibration of posteriors: ranks of the truth, and how often credible regions hold it."""

import math
from collections.abc import Sequence

import numpy as np

from artifex.generative_models.core.evaluation import Calibration
from artifex.visualization.figures import NotebookFigure, plot_axes

_SIDE = 280


def rank_histograms(
    calibration: Calibration, *, names: Sequence[str] | None = None, band: float = 0.99
) -> NotebookFigure:
    """One histogram of ranks for each parameter, with the band in which counts of uniform ranks lie.

    Humps in the middle: the posteriors are too wide; at the ends: too narrow; a slope: they are shifted.

    Source: Talts et al. 2018, arXiv:1804.06788, section 4.1.

    Args:
        calibration: of `simulation_based_calibration`.
        names: of the parameters.
        band: probability with which one bin's count lies in the band, if ranks are uniform.

    Raises:
        ValueError: a band that is no probability, or another number of names.
    """
    counts = calibration.counts
    num_bins, size = counts.shape
    labels = _labels(names, size)
    low, high = binomial_band(calibration.num_simulations, num_bins, band)
    figure, panels = plot_axes(_SIDE, _SIDE - 20, num_panels=size)
    width = (calibration.num_draws + 1) / num_bins
    for index, (panel, label) in enumerate(zip(panels, labels, strict=True)):
        panel.axhspan(low, high, color="0.85", label=f"{band:.0%} band")
        panel.axhline(calibration.num_simulations / num_bins, color="black", linewidth=0.8, zorder=3)
        panel.bar(width * (np.arange(num_bins) + 0.5) - 0.5, counts[:, index], width=0.95 * width, alpha=0.8)
        panel.set_title(f"{label}, p = {calibration.p_values[index]:.2g}", fontsize=10)
        panel.set(xlabel="rank", xlim=(-0.5, calibration.num_draws + 0.5), ylim=(0, None))
    panels[0].set_ylabel("simulations")
    return figure


def coverage_curves(
    calibration: Calibration, *, names: Sequence[str] | None = None, band: float = 0.99
) -> NotebookFigure:
    """How many credible regions hold the truth against how many should, one line for each parameter.

    Below the diagonal the posteriors are too narrow. Where densities are known, a black line shows the regions of
    highest density.

    Source: Hermans et al. 2022, arXiv:2110.06581, section 2.

    Args:
        calibration: of `simulation_based_calibration`.
        names: of the parameters.
        band: probability with which coverage at one level lies in the band around the diagonal.

    Raises:
        ValueError: a band that is no probability, or another number of names.
    """
    levels = np.linspace(0.0, 1.0, 101)
    curves = calibration.coverage(levels)
    labels = _labels(names, curves.shape[1])
    num = calibration.num_simulations
    inside = levels[1:-1]
    edges = np.array([_binomial_quantiles(num, level, band) for level in inside]) / num
    figure, (axes,) = plot_axes(420, 400)
    axes.fill_between(inside, edges[:, 0], edges[:, 1], color="0.85", label=f"{band:.0%} band", linewidth=0)
    axes.plot([0, 1], [0, 1], color="0.5", linewidth=0.8)
    for curve, label in zip(curves.T, labels, strict=True):
        axes.plot(levels, curve, label=label, linewidth=1.2)
    joint = calibration.density_coverage(levels)
    if joint is not None:
        axes.plot(levels, joint, label="highest density", color="black", linewidth=1.4)
    axes.set(xlabel="credible level", ylabel="share of regions with the truth", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False, fontsize=8)
    return figure


def binomial_band(num: int, num_bins: int, probability: float) -> tuple[float, float]:
    """Least and greatest count of one bin of uniform ranks, but for tails of equal probability.

    Args:
        num: simulations.
        num_bins: equal bins.
        probability: of the band, at least.
    """
    low, high = _binomial_quantiles(num, 1.0 / num_bins, probability)
    return float(low), float(high)


def _binomial_quantiles(num: int, share: float, probability: float) -> tuple[int, int]:
    """Central quantiles of a binomial distribution, by its cumulative sum."""
    if not 0 < probability < 1:
        raise ValueError(f"`band` must be a probability between 0 and 1; got {probability}")
    counts = np.arange(num + 1)
    factorials = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, num + 1)))])
    log_choose = factorials[num] - factorials - factorials[::-1]
    log_p = log_choose + counts * math.log(share) + (num - counts) * math.log1p(-share)
    below = np.cumsum(np.exp(log_p))
    tail = (1.0 - probability) / 2
    return int(np.searchsorted(below, tail)), min(int(np.searchsorted(below, 1.0 - tail)), num)


def _labels(names: Sequence[str] | None, size: int) -> list[str]:
    if names is None:
        return [f"parameter {i}" for i in range(size)]
    if len(names) != size:
        raise ValueError(f"`names` needs one entry for each of the {size} parameters; got {len(names)}")
    return list(names)
