"""Warped grids, layers and pairs: what lines, points and histograms hold."""

import numpy as np
import pytest

from artifex import visualization


def test_lines_of_a_grid_go_where_the_map_takes_them():
    def shear(z):
        return z @ np.array([[1.0, 0.0], [0.5, 2.0]]) + 1.0

    figure = visualization.warped_grid(shear, (-1.0, 1.0, -2.0, 2.0), num_lines=3, points_per_line=5)
    before, after = (np.array(axes.collections[0].get_segments()) for axes in figure.axes)
    assert before.shape == after.shape == (6, 5, 2)
    np.testing.assert_allclose(before[:3, :, 0], np.repeat([[-1.0], [0.0], [1.0]], 5, axis=1))  # upright
    np.testing.assert_allclose(before[:3, :, 1], [np.linspace(-2, 2, 5)] * 3)
    np.testing.assert_allclose(before[3:, :, 1], np.repeat([[-2.0], [0.0], [2.0]], 5, axis=1))  # level
    np.testing.assert_allclose(after, before @ np.array([[1.0, 0.0], [0.5, 2.0]]) + 1.0, rtol=1e-6)
    np.testing.assert_array_equal(*(axes.collections[0].get_array() for axes in figure.axes))
    low, high = figure.axes[1].get_xlim()
    assert low <= after[..., 0].min() and high >= after[..., 0].max()


@pytest.mark.parametrize(
    ("transform", "limits", "settings", "match"),
    [
        (lambda z: z, (-1.0, 1.0, -1.0, 1.0), {"num_lines": 1}, "`num_lines`"),
        (lambda z: z, (1.0, -1.0, -1.0, 1.0), {}, "in order"),
        (lambda z: z / 0.0 * 0.0, (0.0, 1.0, 0.0, 1.0), {}, "not finite at"),
    ],
)
@pytest.mark.filterwarnings("ignore:divide by zero", "ignore:invalid value")
def test_wrong_grids_are_refused(transform, limits, settings, match):
    with pytest.raises(ValueError, match=match):
        visualization.warped_grid(transform, limits, **settings)


def test_each_layer_has_a_panel_with_its_points():
    states = np.random.default_rng(0).normal(size=(7, 9, 3))
    figure = visualization.layer_scatters(states, num_panels=3)
    assert [axes.get_title() for axes in figure.axes] == ["latents", "layer 4", "layer 8"]
    for axes, index in zip(figure.axes, (0, 4, 8), strict=True):
        np.testing.assert_array_equal(axes.collections[0].get_offsets(), states[:, index, :2])
        angles = np.arctan2(states[:, 0, 1], states[:, 0, 0])
        np.testing.assert_array_equal(axes.collections[0].get_array(), angles)
    titled = visualization.layer_scatters(states[:, :2], colours=np.arange(7), titles=["a", "b"])
    assert [axes.get_title() for axes in titled.axes] == ["a", "b"]
    np.testing.assert_array_equal(titled.axes[1].collections[0].get_array(), np.arange(7))


@pytest.mark.parametrize(
    ("states", "settings", "match"),
    [
        (np.zeros((4, 2)), {}, r"\(samples, layers \+ 1, size\)"),
        (np.zeros((4, 1, 2)), {}, "a layer or more"),
        (np.full((4, 2, 2), np.nan), {}, "NaN"),
        (np.zeros((4, 3, 2)), {"titles": ["a"]}, "each of the 3 states; got 1"),
        (np.zeros((4, 3, 2)), {"colours": np.zeros(3)}, "each of the 4 samples; got 3"),
        (np.zeros((4, 3, 2)), {"num_panels": 1}, "`num_panels`"),
    ],
)
def test_wrong_states_are_refused(states, settings, match):
    with pytest.raises((ValueError, TypeError), match=match):
        visualization.layer_scatters(states, **settings)


def test_pairs_stand_in_a_triangle():
    rng = np.random.default_rng(0)
    samples, data = rng.normal(size=(40, 3)), rng.normal(5.0, size=(30, 3))
    figure = visualization.pair_plot(
        samples, data, names=["a", "b", "c"], truth=np.array([0.1, 0.2, 0.3]), num_bins=20
    )
    assert len(figure.axes) == 6  # rows of 1, 2 and 3 panels
    pair = figure.axes[4]  # the last row, the second column
    np.testing.assert_array_equal(pair.collections[0].get_offsets(), samples[:, [1, 2]])
    np.testing.assert_array_equal(pair.collections[1].get_offsets(), data[:, [1, 2]])
    assert [line.get_xdata()[0] for line in pair.lines[:1]] == [0.2]
    assert [line.get_ydata()[0] for line in pair.lines[1:]] == [0.3]
    single = figure.axes[2]  # the second row, the second column
    outlines = [patch.get_xy() for patch in single.patches]
    for outline, points in zip(outlines, (samples[:, 1], data[:, 1]), strict=True):
        edges = np.unique(outline[:, 0])
        heights, _ = np.histogram(points, edges, density=True)
        np.testing.assert_allclose(outline[1:-1:2, 1], heights, rtol=1e-6)
    assert [text.get_text() for text in figure.axes[0].get_legend().get_texts()] == ["samples", "data"]
    assert [axes.get_xlabel() for axes in figure.axes[3:]] == ["a", "b", "c"]
    assert [axes.get_ylabel() for axes in figure.axes] == ["", "b", "", "c", "", ""]


@pytest.mark.parametrize(
    ("samples", "settings", "match"),
    [
        (np.zeros((4, 0)), {}, "size from 1 to 12"),
        (np.zeros((4, 13)), {}, r"samples\[:, :6\]"),
        (np.full((4, 2), np.inf), {}, "NaN or infinity"),
        (np.zeros((4, 2)), {"names": ["a"]}, "`names` must fit"),
        (np.zeros((4, 2)), {"data": np.zeros((4, 3))}, "`data` must fit"),
        (np.zeros((4, 2)), {"truth": np.zeros(3)}, "`truth` must fit"),
    ],
)
def test_wrong_pairs_are_refused(samples, settings, match):
    with pytest.raises((ValueError, TypeError), match=match):
        visualization.pair_plot(samples, **settings)
