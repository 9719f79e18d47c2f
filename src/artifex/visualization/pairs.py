"""All pairs of coordinates of samples, beside those of data."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Float

from artifex.visualization.figures import NotebookFigure, new_figure

_SIDE = 150  # of a panel, in pixels
_MAX_SIZE = 12  # coordinates; more would be too small to read


def pair_plot(
    samples: Float[Array | np.ndarray, "n size"],
    data: Float[Array | np.ndarray, "m data_size"] | None = None,
    *,
    names: Sequence[str] | None = None,
    truth: Float[Array | np.ndarray, " truth_size"] | None = None,
    num_bins: int = 30,
) -> NotebookFigure:
    """A triangle of panels: densities of single coordinates on the diagonal, points of each pair below it.

    >>> rng = np.random.default_rng(0)
    >>> figure = pair_plot(rng.normal(size=(50, 3)), rng.normal(size=(40, 3)), names=["a", "b", "c"])
    >>> len(figure.axes), figure.axes[-1].get_xlabel()
    (6, 'c')

    Args:
        samples: of a model, at most 12 coordinates.
        data: what they should resemble; drawn on the same axes.
        names: of the coordinates.
        truth: one point to mark, such as the parameters behind an observation.
        num_bins: of each histogram, over the range of both samples and data.

    Raises:
        ValueError: other shapes, too many coordinates, no points, NaN or infinity, or another number of names.
    """
    sets = {"samples": np.asarray(samples, np.float64)}
    if data is not None:
        sets["data"] = np.asarray(data, np.float64)
    for name, points in sets.items():
        if points.ndim != 2 or len(points) == 0 or not 1 <= points.shape[1] <= _MAX_SIZE:
            raise ValueError(
                f"`{name}` must have shape (n, size), with points and a size from 1 to {_MAX_SIZE}; got "
                f"{points.shape}. Choose coordinates: samples[:, :6]"
            )
        if not np.isfinite(points).all():
            raise ValueError(f"`{name}` holds NaN or infinity")
    size = sets["samples"].shape[1]
    labels = [f"x{i}" for i in range(size)] if names is None else list(names)
    marks = None if truth is None else np.asarray(truth, np.float64)
    lengths = {"data": sets["data"].shape[1]} if data is not None else {}
    lengths |= {"names": len(labels)} | ({} if marks is None else {"truth": len(marks)})
    for name, length in lengths.items():
        if length != size:
            raise ValueError(f"`{name}` must fit the samples' {size} coordinates; got {length}")
    everything = np.concatenate(list(sets.values()))
    low, high = everything.min(axis=0), everything.max(axis=0)
    margin = 0.04 * np.maximum(high - low, 1e-6)
    low, high = low - margin, high + margin
    figure = new_figure(_SIDE * size + 30, _SIDE * size + 30)
    figure.set_layout_engine("constrained")
    for row in range(size):
        for column in range(row + 1):
            panel = figure.add_subplot(size, size, row * size + column + 1)
            panel.spines[["top", "right"]].set_visible(False)
            panel.set_xlim(low[column], high[column])
            if row == column:
                edges = np.linspace(low[row], high[row], num_bins + 1)
                for index, (name, points) in enumerate(sets.items()):
                    panel.hist(
                        points[:, row], edges, density=True, histtype="step", color=f"C{index}", label=name
                    )
                panel.set_yticks([])
            else:
                panel.set_ylim(low[row], high[row])
                for index, points in enumerate(sets.values()):
                    shape = {"s": 2 if len(points) > 500 else 6, "linewidths": 0, "alpha": 0.5}
                    panel.scatter(points[:, column], points[:, row], color=f"C{index}", **shape)
            if marks is not None:
                panel.axvline(marks[column], color="black", linewidth=0.8, linestyle="--")
                if row != column:
                    panel.axhline(marks[row], color="black", linewidth=0.8, linestyle="--")
            _label(panel, labels, row, column, size)
    if len(sets) > 1:
        figure.axes[0].legend(frameon=False, fontsize=7)
    return figure


def _label(panel, labels: list[str], row: int, column: int, size: int) -> None:
    """Names and numbers at the outer edges of the triangle alone."""
    panel.tick_params(labelsize=7)
    if row == size - 1:
        panel.set_xlabel(labels[column])
    else:
        panel.tick_params(labelbottom=False)
    if column == 0 and row > 0:
        panel.set_ylabel(labels[row])
    elif column > 0:
        panel.tick_params(labelleft=False)
