"""Maps of the plane, as what they make of a grid."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Array, Float
from matplotlib.collections import LineCollection

from artifex.visualization.figures import NotebookFigure, plot_axes

Limits = tuple[float, float, float, float]


def warped_grid(
    transform: Callable[[Float[np.ndarray, "n 2"]], Float[Array | np.ndarray, "n 2"]],
    limits: Limits,
    *,
    num_lines: int = 21,
    points_per_line: int = 200,
) -> NotebookFigure:
    """A square grid, and beside it what a map of the plane makes of it, with the same colours.

    >>> figure = warped_grid(lambda z: z * [2.0, 1.0], (-1.0, 1.0, -1.0, 1.0), num_lines=3)
    >>> [len(axes.collections[0].get_segments()) for axes in figure.axes]
    [6, 6]

    Args:
        transform: a batch of points to a batch of points, such as `flow.decode`; called once.
        limits: `(x_min, x_max, y_min, y_max)` of the grid.
        num_lines: lines in each direction.
        points_per_line: points of a line that are mapped.

    Raises:
        ValueError: fewer than two lines or points, limits that are not in order, or images that are not finite.
    """
    for name, value in (("num_lines", num_lines), ("points_per_line", points_per_line)):
        if value < 2:
            raise ValueError(f"`{name}` must be at least 2; got {value}")
    x_min, x_max, y_min, y_max = limits
    if not (x_min < x_max and y_min < y_max):
        raise ValueError(f"`limits` must be (x_min, x_max, y_min, y_max) in order; got {limits}")
    grid = _lines(limits, num_lines, points_per_line)
    mapped = np.asarray(transform(grid.reshape(-1, 2)), np.float64).reshape(grid.shape)
    if not np.isfinite(mapped).all():
        where = grid[~np.isfinite(mapped).all(axis=-1)][0]
        raise ValueError(f"the map is not finite at {where}")
    figure, panels = plot_axes(420, 420, num_panels=2)
    # Upright lines by their place from left to right, level ones by theirs from the bottom up.
    colours = np.concatenate([np.linspace(0.0, 1.0, num_lines)] * 2)
    for panel, lines, title in zip(panels, (grid, mapped), ("latents", "mapped"), strict=True):
        collection = LineCollection(list(lines), cmap="viridis", linewidths=0.8)
        collection.set_array(colours)
        panel.add_collection(collection)
        panel.autoscale()
        panel.set_aspect("equal")
        panel.set_title(title, fontsize=10)
    return figure


def _lines(limits: Limits, num_lines: int, num_points: int) -> Float[np.ndarray, "lines points 2"]:
    """The upright lines, then the level ones, float32."""
    x_min, x_max, y_min, y_max = limits
    x, y = np.linspace(x_min, x_max, num_lines), np.linspace(y_min, y_max, num_lines)
    along_x, along_y = np.linspace(x_min, x_max, num_points), np.linspace(y_min, y_max, num_points)
    upright = np.stack(np.broadcast_arrays(x[:, None], along_y[None]), axis=-1)
    level = np.stack(np.broadcast_arrays(along_x[None], y[:, None]), axis=-1)
    return np.concatenate([upright, level]).astype(np.float32)
