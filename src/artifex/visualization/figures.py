"""Figures without pyplot: no global state, no window, no warning about figures that stay open."""

import io
import os

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from artifex.utils.files import atomic_path

DPI = 100


class NotebookFigure(Figure):
    """A figure that notebooks show also where pyplot was never imported.

    IPython draws figures only after pyplot has told it how to; this one brings its own PNG.
    """

    def _repr_png_(self) -> bytes:
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=DPI)
        return buffer.getvalue()


def new_figure(width: int, height: int) -> NotebookFigure:
    """An empty figure that belongs to the caller alone.

    Args:
        width: in pixels.
        height: in pixels.
    """
    figure = NotebookFigure(figsize=(width / DPI, height / DPI), dpi=DPI)
    FigureCanvasAgg(figure)
    return figure


def plot_axes(
    width: int = 640, height: int = 400, *, num_panels: int = 1
) -> tuple[NotebookFigure, list[Axes]]:
    """A figure with panels side by side, for curves and points.

    Args:
        width: of one panel, in pixels.
        height: of the figure, in pixels.
        num_panels: how many.
    """
    figure = new_figure(width * num_panels, height)
    figure.set_layout_engine("constrained")
    panels = [figure.add_subplot(1, num_panels, i + 1) for i in range(num_panels)]
    for panel in panels:
        panel.spines[["top", "right"]].set_visible(False)
    return figure, panels


def save_figure(path: str | os.PathLike, figure: Figure) -> None:
    """Write a figure in the format that the path's suffix names (.png, .pdf, .svg), whole or not at all.

    Args:
        path: the file; its folder is made where it is missing.
        figure: any matplotlib figure.
    """
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=figure.dpi)
