"""Batches of images as figures."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Num, UInt8

from artifex.visualization.figures import NotebookFigure, new_figure
from artifex.visualization.pixels import Images, contact_sheet, default_scale, sheet_columns, to_pixels

_TITLE_HEIGHT = 18
_LABEL_WIDTH = 90


def image_grid(
    images: Images,
    *,
    num_columns: int | None = None,
    titles: Sequence[object] | None = None,
    max_value: float | int | None = None,
    scale: int | None = None,
) -> NotebookFigure:
    """Images in rows, as `representation.decode` gives them.

    Args:
        images: shape `(n, channels, height, width)` with 1 or 3 channels, or `(n, height, width)`.
        num_columns: images in a row; None: a nearly square grid.
        titles: one for each image, such as its class.
        max_value: the value of white; None: 1 for floats, and for integers the smallest of 1, 16 and 255 that
            is not exceeded.
        scale: screen pixels per image pixel; None: chosen so that small images can be seen.

    Raises:
        ValueError: wrong shape or range, or another number of titles than images.
    """
    pixels = to_pixels(images, max_value=max_value)
    num, height, width, _ = pixels.shape
    columns = sheet_columns(num, num_columns)
    scale = default_scale(width, columns) if scale is None else scale
    if titles is None:
        return show_sheet(_sheet(pixels, columns, scale))
    if len(titles) != num:
        raise ValueError(f"`titles` needs one entry for each of the {num} images; got {len(titles)}")
    room = -(-_TITLE_HEIGHT // scale)
    figure = show_sheet(_sheet(_padded(pixels, room), columns, scale))
    cell = ((height + room) * scale + 2, width * scale + 2)
    for i, title in enumerate(titles):
        top, left = (i // columns) * cell[0], (i % columns) * cell[1]
        figure.axes[0].text(
            left + width * scale / 2, top + room * scale / 2, str(title), ha="center", va="center", fontsize=8
        )
    return figure


def reconstructions(
    originals: Images,
    reconstructed: Images,
    *,
    num_columns: int | None = None,
    max_value: float | int | None = None,
    scale: int | None = None,
) -> NotebookFigure:
    """Pairs of rows: originals above, what a model makes of them below.

    Args:
        originals: as in `image_grid`.
        reconstructed: as many images of the same shape.
        num_columns: pairs in a row; None: at most 10.
        max_value: the value of white for both; None: as in `image_grid`, from both together.
        scale: screen pixels per image pixel.
    """
    if np.shape(originals) != np.shape(reconstructed):
        raise ValueError(
            f"`originals` and `reconstructed` must have the same shape; got {np.shape(originals)} "
            f"and {np.shape(reconstructed)}"
        )
    num = len(originals)
    columns = min(num, 10) if num_columns is None else sheet_columns(num, num_columns)
    pairs = to_pixels(np.concatenate([np.asarray(originals), np.asarray(reconstructed)]), max_value=max_value)
    white = np.full_like(pairs[:1], 255)
    rows = []
    for start in range(0, num, columns):
        for first in (start, num + start):
            row = pairs[first : first + min(columns, num - start)]
            rows.append(np.concatenate([row, *[white] * (columns - len(row))]))
    scale = default_scale(pairs.shape[2], columns) if scale is None else scale
    return _labelled(np.concatenate(rows), columns, scale, ["original", "model"] * (len(rows) // 2))


def traversal(
    images: Num[Array | np.ndarray, "rows columns ..."],
    *,
    row_labels: Sequence[object] | None = None,
    max_value: float | int | None = None,
    scale: int | None = None,
) -> NotebookFigure:
    """A table of images: one latent dimension (or one pair of ends) a row, its values from left to right.

    Args:
        images: shape `(rows, columns, channels, height, width)` or `(rows, columns, height, width)`.
        row_labels: what stands at the left of each row; None: "z0", "z1", ...
        max_value: the value of white, as in `image_grid`.
        scale: screen pixels per image pixel.
    """
    shape = np.shape(images)
    if len(shape) not in (4, 5):
        raise ValueError(
            "images must have shape (rows, columns, channels, height, width) or (rows, columns, height, "
            f"width); got {shape}"
        )
    labels = [f"z{i}" for i in range(shape[0])] if row_labels is None else list(row_labels)
    if len(labels) != shape[0]:
        raise ValueError(f"`row_labels` needs one entry for each of the {shape[0]} rows; got {len(labels)}")
    pixels = to_pixels(np.reshape(np.asarray(images), (shape[0] * shape[1], *shape[2:])), max_value=max_value)
    scale = default_scale(pixels.shape[2], shape[1]) if scale is None else scale
    return _labelled(pixels, shape[1], scale, labels)


def _sheet(pixels: np.ndarray, columns: int, scale: int) -> np.ndarray:
    return contact_sheet(np.moveaxis(pixels, -1, 1), num_columns=columns, max_value=255, scale=scale)


def _padded(pixels: np.ndarray, room: int) -> np.ndarray:
    return np.pad(pixels, ((0, 0), (room, 0), (0, 0), (0, 0)), constant_values=255)


def show_sheet(
    sheet: UInt8[np.ndarray, "height width channels"], *, left: int = 0, top: int = 0
) -> NotebookFigure:
    """The sheet, one screen pixel for each of its pixels, with `left` white pixels before and `top` above it."""
    height, width = sheet.shape[:2]
    figure = new_figure(width + left, height + top)
    axes = figure.add_axes(
        (left / (width + left), 0.0, width / (width + left), height / (height + top)),
    )
    axes.set_axis_off()
    axes.imshow(
        np.broadcast_to(sheet, (height, width, 3)),
        interpolation="none",
        extent=(0, width, height, 0),
        aspect="auto",
    )
    return figure


def _labelled(pixels: np.ndarray, columns: int, scale: int, labels: Sequence[object]) -> NotebookFigure:
    figure = show_sheet(_sheet(pixels, columns, scale), left=_LABEL_WIDTH)
    height = pixels.shape[1] * scale
    for row, label in enumerate(labels):
        centre = row * (height + 2) + height / 2
        figure.axes[0].text(-6, centre, str(label), ha="right", va="center", fontsize=9)
    return figure
