"""Quality against steps: what the lines and bars hold."""

import numpy as np
import pytest

from artifex import visualization

MEASURED = {"ddim": [(20, 2.0, 0.1), (5, 8.0, 0.5), (10, 4.0, 0.2)], "heun": [(9, 3.0, 0.0), (19, 1.5, 0.3)]}


def test_lines_go_by_rising_evaluations_with_their_errors():
    axes = visualization.quality_curves(MEASURED, measure="distance").axes[0]
    ddim, heun = axes.containers
    assert ddim.lines[0].get_xydata().tolist() == [[5, 8.0], [10, 4.0], [20, 2.0]]
    assert heun.lines[0].get_xydata().tolist() == [[9, 3.0], [19, 1.5]]
    bars = ddim.lines[2][0].get_segments()
    np.testing.assert_allclose(bars, [[[5, 7.5], [5, 8.5]], [[10, 3.8], [10, 4.2]], [[20, 1.9], [20, 2.1]]])
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["ddim", "heun"]
    assert (axes.get_ylabel(), axes.get_xscale(), axes.get_yscale()) == ("distance", "log", "log")


def test_ticks_are_the_numbers_measured_but_for_those_that_would_touch():
    axes = visualization.quality_curves(MEASURED, measure="distance").axes[0]
    assert axes.get_xticks().tolist() == [5, 9, 19]  # 10 and 20 are too near


def test_reference_and_a_linear_axis():
    axes = visualization.quality_curves(
        {"a": [(5, -1.0, 0.1)]}, measure="bits", reference=0.5, has_log_values=False
    ).axes[0]
    assert axes.get_yscale() == "linear"
    assert [line.get_ydata() for line in axes.lines if line.get_label() == "reference"] == [[0.5, 0.5]]


@pytest.mark.parametrize(
    ("measured", "match"),
    [
        ({}, "nothing was measured"),
        ({"a": []}, "a: records must be"),
        ({"a": [(5, float("nan"), 0.1)]}, "a: records must be"),
        ({"a": [(0, 1.0, 0.1)]}, "must be positive"),
        ({"a": [(5, 1.0, -0.1)]}, "not negative"),
        ({"a": [(5, 0.0, 0.1)]}, "has_log_values=False"),
    ],
)
def test_wrong_records_are_refused(measured, match):
    with pytest.raises(ValueError, match=match):
        visualization.quality_curves(measured, measure="distance")
