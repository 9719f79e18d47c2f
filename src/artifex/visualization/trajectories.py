"""Ways of samples through the plane."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Array, Float
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from artifex.visualization.figures import NotebookFigure, plot_axes

_GRID = 200  # points a side at which a density is asked for
_MARGIN = 0.05

Box = tuple[float | int, float | int, float | int, float | int]
Density = Callable[[Float[np.ndarray, "n 2"]], Float[Array | np.ndarray, " n"]]


def trajectories_2d(
    trajectories: Float[Array | np.ndarray, "samples ..."],
    *,
    density: Density | Float[Array | np.ndarray, "rows columns"] | None = None,
    extent: Sequence[float | int] | None = None,
) -> NotebookFigure:
    """A line for each sample, from a hollow mark, the noise, to a full one, the data.

    >>> ways = np.linspace([[3.0, 0.0], [0.0, 3.0]], [[1.0, 1.0], [-1.0, 1.0]], 5, axis=1)  # 2 samples, 5 stops
    >>> figure = trajectories_2d(ways, density=lambda x: np.exp(-0.5 * (x**2).sum(1)))
    >>> len(figure.axes[0].collections[0].get_segments())
    2

    Args:
        trajectories: x at every stop, first to last, as in `Sampled.trajectory`.
        density: background, darker where it is larger: a function of points, shape `(n, 2)` to `(n,)`, or its values
            on a grid, the first row at the bottom and the first column at the left.
        extent: `(left, right, bottom, top)` of the picture, and of a grid that is given; None: room for all stops.

    Raises:
        ValueError: another shape, no samples, NaN or infinity, a negative density, or a grid without its extent.
    """
    ways = np.asarray(trajectories, np.float64)
    if ways.ndim != 3 or ways.shape[-1] != 2 or ways.shape[1] < 2 or len(ways) < 1:
        raise ValueError(
            f"`trajectories` must have shape (samples, stops, 2), with two stops or more; got {ways.shape}. Of one "
            "sample: trajectory[None]"
        )
    if not np.isfinite(ways).all():
        raise ValueError("`trajectories` holds NaN or infinity")
    if extent is None and density is not None and not callable(density):
        raise ValueError(
            "a density on a grid needs `extent`, (left, right, bottom, top): where the grid lies"
        )
    box = _box(ways) if extent is None else (extent[0], extent[1], extent[2], extent[3])
    figure, (axes,) = plot_axes(520, 520)
    if density is not None:
        _draw_density(axes, density, box)
    axes.add_collection(LineCollection(list(ways), colors="tab:blue", linewidths=0.8, alpha=0.6))
    first, last = ways[:, 0], ways[:, -1]
    axes.scatter(*first.T, s=18, facecolors="none", edgecolors="dimgrey", linewidths=0.8, label="noise")
    axes.scatter(*last.T, s=14, color="tab:red", zorder=3, label="data")
    axes.set(xlim=box[:2], ylim=box[2:], aspect="equal")
    axes.legend(frameon=False, loc="upper right")
    return figure


def _box(ways: np.ndarray) -> Box:
    """Ends of both axes, a little wider than the points."""
    low, high = ways.min((0, 1)), ways.max((0, 1))
    room = _MARGIN * max(float((high - low).max()), 1e-6)
    left, right, bottom, top = (low[0] - room, high[0] + room, low[1] - room, high[1] + room)
    return float(left), float(right), float(bottom), float(top)


def _draw_density(axes: Axes, density: Density | Array | np.ndarray, box: Box) -> None:
    if callable(density):
        # Values belong to the middles of the picture's cells.
        x, y = (low + (high - low) * (np.arange(_GRID) + 0.5) / _GRID for low, high in (box[:2], box[2:]))
        points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
        values = np.asarray(density(points.astype(np.float32)), np.float64).reshape(_GRID, _GRID)
    else:
        values = np.asarray(density, np.float64)
    if values.ndim != 2 or not np.isfinite(values).all() or values.min() < 0:
        raise ValueError(
            "`density` must be finite and not negative, on a grid of two axes; got shape "
            f"{values.shape} and values from {values.min():g} to {values.max():g}. Of a log-density: its exponential"
        )
    axes.imshow(values, origin="lower", extent=box, cmap="Greys", vmin=0.0, vmax=1.5 * values.max() or 1.0)
