"""Trajectories in the plane: what lines, marks and background hold."""

import numpy as np
import pytest

from artifex import visualization


@pytest.fixture(scope="module")
def ways():
    """Three samples, five stops."""
    return np.random.default_rng(0).normal(size=(3, 5, 2))


def test_a_line_for_each_sample_with_its_ends_marked(ways):
    axes = visualization.trajectories_2d(ways).axes[0]
    lines, first, last = axes.collections
    np.testing.assert_array_equal(lines.get_segments(), ways)
    np.testing.assert_array_equal(first.get_offsets(), ways[:, 0])
    np.testing.assert_array_equal(last.get_offsets(), ways[:, -1])
    assert first.get_facecolor().size == 0  # hollow
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["noise", "data"]
    (left, right), (bottom, top) = axes.get_xlim(), axes.get_ylim()
    assert left < ways[..., 0].min() < ways[..., 0].max() < right
    assert bottom < ways[..., 1].min() < ways[..., 1].max() < top


def test_density_is_asked_for_in_the_middles_of_its_cells(ways):
    axes = visualization.trajectories_2d(
        ways, density=lambda x: x[:, 0] + 10 * x[:, 1], extent=(0, 2, 1, 5)
    ).axes[0]
    (image,) = axes.images
    values = np.asarray(image.get_array())
    assert tuple(image.get_extent()) == (0, 2, 1, 5)
    np.testing.assert_allclose(values[0, 0], 0.005 + 10 * 1.01, rtol=1e-5)
    np.testing.assert_allclose(values[0, -1], 1.995 + 10 * 1.01, rtol=1e-5)  # to the right
    np.testing.assert_allclose(values[-1, 0], 0.005 + 10 * 4.99, rtol=1e-5)  # to the top
    assert image.origin == "lower"


def test_density_on_a_grid_is_shown_as_it_is(ways):
    grid = np.arange(12.0).reshape(3, 4)
    (image,) = visualization.trajectories_2d(ways, density=grid, extent=(-1, 1, -2, 2)).axes[0].images
    np.testing.assert_array_equal(image.get_array(), grid)
    assert tuple(image.get_extent()) == (-1, 1, -2, 2)


@pytest.mark.parametrize(
    ("trajectories", "settings", "match"),
    [
        (np.zeros((5, 2)), {}, r"trajectory\[None\]"),
        (np.zeros((3, 5, 3)), {}, r"\(samples, stops, 2\)"),
        (np.zeros((3, 1, 2)), {}, "two stops"),
        (np.full((3, 5, 2), np.nan), {}, "NaN"),
        (np.zeros((3, 5, 2)), {"density": np.ones((2, 2))}, "needs `extent`"),
        (np.zeros((3, 5, 2)), {"density": lambda x: -(x[:, 0] ** 2)}, "exponential"),
    ],
)
def test_wrong_trajectories_and_densities_are_refused(trajectories, settings, match):
    with pytest.raises((ValueError, TypeError), match=match):
        visualization.trajectories_2d(trajectories, **settings)
