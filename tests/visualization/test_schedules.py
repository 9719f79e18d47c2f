"""Plots of schedules: curves against formulas."""

import numpy as np
import pytest
from scipy import stats

from artifex import visualization
from artifex.generative_models.core.configuration import (
    DDPMConfig,
    EDMConfig,
    EDMPathConfig,
    FlowMatchingConfig,
    LevelTimesConfig,
    LinearPathConfig,
    LogitNormalTimesConfig,
    LogNormalSigmaTimesConfig,
    NoisePredictionConfig,
    SNRWeightingConfig,
    TrigonometricPathConfig,
    UniformTimesConfig,
    VPPathConfig,
)


def curves(figure):
    """Panel to label to points."""
    return {
        axes.get_ylabel(): {line.get_label(): line.get_xydata().T for line in axes.lines}
        for axes in figure.axes
    }


def test_curves_of_paths():
    drawn = curves(visualization.schedule_plot([TrigonometricPathConfig(), LinearPathConfig()]))
    assert list(drawn) == ["alpha", "sigma", "log-SNR"]
    t, alpha = drawn["alpha"]["trigonometric"]
    np.testing.assert_allclose(t[[0, -1]], [0, 1])
    np.testing.assert_allclose(alpha, np.cos(np.pi / 2 * t), atol=1e-6)
    t, sigma = drawn["sigma"]["linear"]
    np.testing.assert_allclose(sigma, t)
    t, log_snr = drawn["log-SNR"]["linear"]
    np.testing.assert_allclose(log_snr, 2 * np.log((1 - t) / t), rtol=1e-3, atol=1e-4)


def test_large_sigmas_are_drawn_in_logarithms():
    assert visualization.schedule_plot([LinearPathConfig()]).axes[1].get_yscale() == "linear"
    assert visualization.schedule_plot([EDMPathConfig()]).axes[1].get_yscale() == "log"


def test_models_have_weights_and_times_too():
    """A constant weight on noise is SNR on data, and so is SNR itself; of a velocity on a straight line 1 / t^2."""
    shape = {"event_shape": (2,)}
    figure = visualization.schedule_plot(
        {
            "noise": DDPMConfig(path=VPPathConfig(), prediction=NoisePredictionConfig(), **shape),
            "velocity": FlowMatchingConfig(times=UniformTimesConfig(), **shape),
            "snr": FlowMatchingConfig(weighting=SNRWeightingConfig(), **shape),
            "path": LinearPathConfig(),
        }
    )
    drawn = curves(figure)["weight of the data's error"]
    assert list(drawn) == ["noise", "velocity", "snr"]
    for name in ("noise", "snr"):
        log_snr, weight = drawn[name]
        np.testing.assert_allclose(weight, np.exp(log_snr), rtol=1e-3)
    log_snr, weight = drawn["velocity"]
    np.testing.assert_allclose(weight, (1 + np.exp(0.5 * log_snr)) ** 2, rtol=1e-3)  # t = 1 / (1 + sqrt(SNR))
    colours = [{line.get_label(): line.get_color() for line in axes.lines} for axes in figure.axes]
    assert all(colours[0][name] == panel[name] for panel in colours for name in panel)


@pytest.mark.parametrize(
    ("config", "distribution"),
    [
        (FlowMatchingConfig(times=UniformTimesConfig()), stats.logistic(0.0, 2.0)),
        (FlowMatchingConfig(times=LevelTimesConfig(num_levels=10_000)), stats.logistic(0.0, 2.0)),
        (FlowMatchingConfig(times=LogitNormalTimesConfig(mean=0.4, std=1.0)), stats.norm(-0.8, 2.0)),
        (EDMConfig(times=LogNormalSigmaTimesConfig(mean=-1.2, std=1.2)), stats.norm(2.4, 2.4)),
    ],
)
def test_density_of_training_examples(config, distribution):
    x, drawn = curves(visualization.schedule_plot({"a": config}))["density of training examples"]["a"]
    edges, heights = x.reshape(-1, 2), drawn.reshape(-1, 2)
    np.testing.assert_allclose(edges[:, 0], np.arange(-15, 15, 0.5))
    np.testing.assert_array_equal(heights[:, 0], heights[:, 1])
    shares = np.diff(distribution.cdf(np.append(edges[:, 0], edges[-1, 1])))
    np.testing.assert_allclose(heights[:, 0], shares / 0.5, atol=2e-3)


def test_wrong_schedules_are_refused():
    with pytest.raises(ValueError, match="names of your own"):
        visualization.schedule_plot([LinearPathConfig(), LinearPathConfig()])
    with pytest.raises(ValueError, match="no paths"):
        visualization.schedule_plot({})
