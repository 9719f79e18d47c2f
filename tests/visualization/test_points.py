"""Scatters and density maps: what was drawn is what was given."""

import numpy as np
import pytest
from scipy.stats import norm

from artifex import visualization


def test_samples_stand_beside_the_data():
    samples, data = np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[5.0, 5.0]])
    figure = visualization.point_scatter(samples, data)
    left, right = figure.axes
    np.testing.assert_array_equal(left.collections[0].get_offsets(), samples)
    np.testing.assert_array_equal(right.collections[0].get_offsets(), data)
    assert left.get_xlim() == right.get_xlim() and left.get_ylim() == right.get_ylim()
    assert left.get_xlim()[0] < 0.0 and left.get_xlim()[1] > 5.0


def test_points_beyond_the_limits_are_counted():
    samples = np.array([[0.0, 0.0], [9.0, 0.0], [np.nan, 0.0]])
    figure = visualization.point_scatter(samples, limits=(-1.0, 1.0, -1.0, 1.0))
    assert figure.axes[0].get_title() == "model, 2 of 3 beyond"
    with pytest.raises(ValueError, match="no points of the model"):
        visualization.point_scatter(np.zeros((0, 2)))
    with pytest.raises(ValueError, match="no point is finite"):
        visualization.point_scatter(np.full((2, 2), np.inf))


def test_density_is_drawn_where_it_is():
    """X runs to the right, y upwards; the title says how much of it is in the picture."""

    def log_prob(points):
        return norm.logpdf(points[:, 0], 1.0, 0.2) + norm.logpdf(points[:, 1], -0.5, 0.2)

    limits = (-2.0, 2.0, -1.5, 1.5)
    figure = visualization.density_map(log_prob, limits, num_cells=40, true_log_prob=log_prob)
    image = figure.axes[0].images[0]
    table = np.asarray(image.get_array())
    row, column = np.unravel_index(table.argmax(), table.shape)
    assert image.origin == "lower" and tuple(image.get_extent()) == limits
    assert abs(-2.0 + 0.1 * (column + 0.5) - 1.0) <= 0.06
    assert abs(-1.5 + 0.075 * (row + 0.5) + 0.5) <= 0.05
    assert figure.axes[0].get_title() == "model, 1.000 of 1" and figure.axes[1].get_title().startswith("data")
    with pytest.raises(ValueError, match="NaN"):
        visualization.density_map(lambda points: points[:, 0] * np.nan, limits, num_cells=4)
    with pytest.raises(ValueError, match="`num_cells`"):
        visualization.density_map(log_prob, limits, num_cells=1)


def test_data_stand_beside_the_density():
    """As points, on the same axes, those beyond the picture counted."""
    data = np.array([[0.0, 0.5], [1.0, -1.0], [7.0, 0.0]])
    figure = visualization.density_map(lambda x: -np.ones(len(x)), (-2.0, 2.0, -1.5, 1.5), data=data)
    density, points = figure.axes
    np.testing.assert_array_equal(points.collections[0].get_offsets(), data)
    assert points.get_title() == "points, 1 of 3 beyond"
    assert (points.get_xlim(), points.get_ylim()) == (density.get_xlim(), density.get_ylim())
