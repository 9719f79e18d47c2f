"""How samples come out of noise, as rows of images."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Array, Num

from artifex.visualization.figures import NotebookFigure
from artifex.visualization.images import show_sheet
from artifex.visualization.pixels import contact_sheet, default_scale, to_pixels

_TITLE_HEIGHT = 18


def denoising_strip(
    trajectories: Num[Array | np.ndarray, "samples stops ..."],
    *,
    num_columns: int = 10,
    titles: Sequence[object] | None = None,
    max_value: float | int | None = None,
    scale: int | None = None,
) -> NotebookFigure:
    """A table of images: one sample a row, its way from noise to data from left to right.

    >>> figure = denoising_strip(np.zeros((2, 51, 1, 8, 8)), num_columns=6, scale=1)  # 51 stops: 6 of them are shown
    >>> figure.axes[0].images[0].get_array().shape
    (18, 58, 3)

    Args:
        trajectories: x, or the estimates of the data, at every stop, as `representation.decode` gives them: shape
            `(samples, stops, channels, height, width)` or `(samples, stops, height, width)`.
        num_columns: at most so many stops, evenly spread, the first and the last among them.
        titles: one for each stop, such as its time; shown above those that are.
        max_value: the value of white, as in `image_grid`.
        scale: screen pixels per image pixel; None: so that small images can be seen.

    Raises:
        ValueError: wrong shape or range, fewer than two columns, or another number of titles than stops.
    """
    values = np.asarray(trajectories)
    if values.ndim not in (4, 5):
        raise ValueError(
            "`trajectories` must have shape (samples, stops, channels, height, width) or (samples, stops, height, "
            f"width); got {values.shape}. Of one sample: trajectory[None]"
        )
    num_stops = values.shape[1]
    if titles is not None and len(titles) != num_stops:
        raise ValueError(f"`titles` needs one entry for each of the {num_stops} stops; got {len(titles)}")
    if num_columns < 2:
        raise ValueError(f"`num_columns` must be at least 2, for the noise and the data; got {num_columns}")
    shown = np.unique(np.linspace(0, num_stops - 1, num_columns).round().astype(int))
    images = values[:, shown].reshape(-1, *values.shape[2:])
    pixels = to_pixels(images, max_value=max_value)
    width, columns = pixels.shape[2], len(shown)
    scale = default_scale(width, columns) if scale is None else scale
    sheet = contact_sheet(np.moveaxis(pixels, -1, 1), num_columns=columns, max_value=255, scale=scale)
    if titles is None:
        return show_sheet(sheet)
    figure = show_sheet(sheet, top=_TITLE_HEIGHT)
    for column, stop in enumerate(shown):
        centre = column * (width * scale + 2) + width * scale / 2
        figure.axes[0].text(centre, -4, str(titles[stop]), ha="center", va="bottom", fontsize=8)
    return figure
