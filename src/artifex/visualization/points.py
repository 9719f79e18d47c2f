"""Points in the plane, and densities over it, as figures."""

from collections.abc import Callable

import numpy as np
from jaxtyping import Array, Float

from artifex.visualization.figures import NotebookFigure, plot_axes

Limits = tuple[float, float, float, float]
_SIDE = 380  # of a panel, in pixels


def point_scatter(
    samples: Float[Array | np.ndarray, "n 2"],
    data: Float[Array | np.ndarray, "m 2"] | None = None,
    *,
    limits: Limits | None = None,
) -> NotebookFigure:
    """Samples as points in the plane, beside the data where there are some, on the same axes.

    Args:
        samples: of a model.
        data: what they should resemble.
        limits: `(x_min, x_max, y_min, y_max)`; None: what holds all points. Points beyond are not seen, but counted
            in the title.

    Raises:
        ValueError: there are no points.
    """
    panels = {"model": np.asarray(samples, np.float64)}
    if data is not None:
        panels["data"] = np.asarray(data, np.float64)
    for name, points in panels.items():
        if len(points) == 0:
            raise ValueError(f"there are no points of the {name} to draw")
    if limits is None:
        limits = _around(np.concatenate(list(panels.values())))
    figure, axes = plot_axes(_SIDE, _SIDE, num_panels=len(panels))
    for panel, (name, points) in zip(axes, panels.items(), strict=True):
        _draw_points(panel, name, points, limits)
    return figure


def density_map(
    log_prob: Callable[[Float[np.ndarray, "cells 2"]], Float[Array | np.ndarray, " cells"]],
    limits: Limits,
    *,
    num_cells: int = 100,
    true_log_prob: Callable[[Float[np.ndarray, "cells 2"]], Float[Array | np.ndarray, " cells"]]
    | None = None,
    data: Float[Array | np.ndarray, "m 2"] | None = None,
) -> NotebookFigure:
    """The density of a model on a grid of the plane, with the probability that lies on it in the title.

    Args:
        log_prob: log-densities of a batch of points, in nats.
        limits: `(x_min, x_max, y_min, y_max)` of the picture.
        num_cells: cells in a row and in a column.
        true_log_prob: the density that a second panel shows, in the same colours.
        data: points that a last panel shows.

    Raises:
        ValueError: fewer than 2 cells, or a density that is NaN.
    """
    if num_cells < 2:
        raise ValueError(f"`num_cells` must be at least 2; got {num_cells}")
    x_min, x_max, y_min, y_max = limits
    width, height = (x_max - x_min) / num_cells, (y_max - y_min) / num_cells
    x = x_min + width * (np.arange(num_cells) + 0.5)
    y = y_min + height * (np.arange(num_cells) + 0.5)
    cells = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2).astype(np.float32)
    functions = {"model": log_prob} if true_log_prob is None else {"model": log_prob, "data": true_log_prob}
    maps = {name: np.exp(np.asarray(f(cells), np.float64)) for name, f in functions.items()}
    for name, density in maps.items():
        if np.isnan(density).any():
            raise ValueError(f"the density of the {name} is NaN at {cells[np.isnan(density)][0]}")
    figure, axes = plot_axes(_SIDE, _SIDE, num_panels=len(maps) + (data is not None))
    # The model's peaks may be spurious: the colours are those of the true density where it is known.
    top = max(float(list(maps.values())[-1].max()), 1e-12)
    for panel, (name, density) in zip(axes, maps.items(), strict=data is None):
        table = density.reshape(num_cells, num_cells)
        panel.imshow(table, origin="lower", extent=limits, vmin=0.0, vmax=top, interpolation="none")
        panel.set_title(f"{name}, {width * height * density.sum():.3f} of 1", fontsize=10)
        _frame(panel, limits)
    if data is not None:
        _draw_points(axes[-1], "points", np.asarray(data, np.float64), limits)
    return figure


def _draw_points(panel, name: str, points: np.ndarray, limits: Limits) -> None:
    panel.scatter(*points.T, s=2 if len(points) > 500 else 8, linewidths=0, alpha=0.6)
    beyond = len(points) - int(np.sum(_is_within(points, limits)))
    panel.set_title(f"{name}, {beyond} of {len(points)} beyond" if beyond else name, fontsize=10)
    _frame(panel, limits)


def _frame(panel, limits: Limits) -> None:
    panel.set(xlim=limits[:2], ylim=limits[2:], aspect="equal")


def _is_within(points: np.ndarray, limits: Limits) -> np.ndarray:
    x_min, x_max, y_min, y_max = limits
    x, y = points.T
    return (x >= x_min) & (x <= x_max) & (y >= y_min) & (y <= y_max)


def _around(points: np.ndarray) -> Limits:
    """A square that holds all finite points."""
    points = points[np.isfinite(points).all(axis=1)]
    if len(points) == 0:
        raise ValueError("no point is finite, so there is nothing to draw")
    middle = (points.min(axis=0) + points.max(axis=0)) / 2
    side = 0.55 * max(float(np.ptp(points, axis=0).max()), 1e-6)
    return (
        float(middle[0] - side),
        float(middle[0] + side),
        float(middle[1] - side),
        float(middle[1] + side),
    )
