"""Denoising strips, by reading their pixels back."""

import numpy as np
import pytest

from artifex import visualization


def test_strip_shows_evenly_spread_stops_with_both_ends():
    trajectories = np.random.default_rng(0).integers(17, 256, size=(3, 9, 1, 4, 5))
    figure = visualization.denoising_strip(trajectories, num_columns=5, scale=2)
    sheet = np.asarray(figure.axes[0].images[0].get_array())
    assert sheet.shape[:2] == (3 * (4 * 2 + 2) - 2, 5 * (5 * 2 + 2) - 2)
    for row in range(3):
        for column, stop in enumerate([0, 2, 4, 6, 8]):
            block = sheet[row * 10 : row * 10 + 8, column * 12 : column * 12 + 10, 0]
            expected = np.kron(trajectories[row, stop, 0], np.ones((2, 2), int))
            np.testing.assert_array_equal(block, expected)


def test_fewer_stops_than_columns_are_shown_once_each():
    sheet = visualization.denoising_strip(np.zeros((1, 3, 4, 4)), scale=1).axes[0].images[0].get_array()
    assert sheet.shape[1] == 3 * (4 + 2) - 2


def test_titles_stand_above_their_columns():
    figure = visualization.denoising_strip(
        np.zeros((2, 7, 1, 8, 8)), num_columns=3, titles=[f"{t:.1f}" for t in range(7)], scale=4
    )
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.texts] == ["0.0", "3.0", "6.0"]
    assert [text.get_position()[0] for text in axes.texts] == [16, 50, 84]
    figure.canvas.draw()
    pixels = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    sheet = np.asarray(axes.images[0].get_array())
    np.testing.assert_array_equal(pixels[18:], sheet)  # one to one, below the titles
    assert (pixels[:18] < 128).any()


@pytest.mark.parametrize(
    ("shape", "settings", "match"),
    [
        ((5, 8, 8), {}, r"trajectory\[None\]"),
        ((1, 5, 1, 8, 8), {"titles": ["a"]}, "each of the 5 stops; got 1"),
        ((1, 5, 1, 8, 8), {"num_columns": 1}, "at least 2"),
        ((1, 5, 2, 8, 8), {}, "1 or 3 channels"),
    ],
)
def test_wrong_trajectories_are_refused(shape, settings, match):
    with pytest.raises(ValueError, match=match):
        visualization.denoising_strip(np.zeros(shape), **settings)
