"""Integrals: over a rectangle of the plane, and along a line."""

import math

import numpy as np
from jaxtyping import Float


def grid_points(
    limits: tuple[float, float, float, float], spacing: float
) -> tuple[Float[np.ndarray, "points 2"], float]:
    """Midpoints of equal cells of a rectangle, row by row, and the area of a cell.

    The sum over cells of area times value is the midpoint rule. For a function that is smooth on the scale of a few
    cells and vanishes at the border its error falls faster than any power of the spacing.

    Args:
        limits: `(x_min, x_max, y_min, y_max)`.
        spacing: sides of a cell are at most so long.
    """
    x_min, x_max, y_min, y_max = limits
    num_x, num_y = (math.ceil((high - low) / spacing) for low, high in ((x_min, x_max), (y_min, y_max)))
    width, height = (x_max - x_min) / num_x, (y_max - y_min) / num_y
    x = x_min + width * (np.arange(num_x) + 0.5)
    y = y_min + height * (np.arange(num_y) + 0.5)
    points = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    return points.astype(np.float32), width * height


def panel_nodes(
    low: float, high: float, num_panels: int, *, order: int = 8
) -> tuple[Float[np.ndarray, " nodes"], Float[np.ndarray, " nodes"]]:
    """Nodes and weights of the Gauss-Legendre rule on each of equal panels, of an integral from `low` to `high`."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    edges = np.linspace(low, high, num_panels + 1)
    middles, half = 0.5 * (edges[:-1] + edges[1:]), 0.5 * (high - low) / num_panels
    return (middles[:, None] + half * nodes).ravel(), np.tile(half * weights, num_panels)
