"""Images to pixels: one sheet of 8-bit pixels from a batch of images, exact enough to be read back."""

import math
import os

import numpy as np
from jaxtyping import Array, Bool, Num, Shaped, UInt8
from PIL import Image

from artifex.utils.files import atomic_path

# A sheet's default width on the screen; small images are enlarged towards it.
_SHEET_WIDTH = 640
_MAX_SCALE = 8

Images = Num[Array | np.ndarray, "_n ..."] | Bool[Array | np.ndarray, "_n ..."]


def to_pixels(
    images: Images, *, max_value: float | int | None = None
) -> UInt8[np.ndarray, "n height width channels"]:
    """8-bit pixels of a batch of images, channels last.

    Args:
        images: shape `(n, channels, height, width)` with 1 or 3 channels, or `(n, height, width)`.
        max_value: the value of white; black is 0. None: 1 for floats and booleans; for integers the smallest
            of 1 (binary), 16 (the digits of scikit-learn) and 255 that is not exceeded.

    Raises:
        ValueError: wrong shape, no images, values outside [0, max_value], or NaN.
    """
    values = np.asarray(images)
    if values.ndim == 3:
        values = values[:, None]
    if values.ndim != 4 or values.shape[1] not in (1, 3):
        raise ValueError(
            "images must have shape (n, channels, height, width) with 1 or 3 channels, or (n, height, width);"
            f" got {np.shape(images)}. " + _shape_hint(np.shape(images))
        )
    if values.size == 0:
        raise ValueError(f"there are no images to show: got shape {np.shape(images)}")
    white = _white(values) if max_value is None else max_value
    if not white > 0:
        raise ValueError(f"`max_value` must be positive; got {max_value}")
    # A little outside is rounding, in particular of bfloat16; more is a mistake.
    slack = 0.0 if np.issubdtype(values.dtype, np.integer) else 0.01 * white
    low, high = float(values.min()), float(values.max())
    if not (low >= -slack and high <= white + slack):
        raise ValueError(
            f"image values must lie in [0, {white:g}]; got {low:g} to {high:g}. "
            "Decode a model's output with `representation.decode`, or pass `max_value`."
        )
    levels = np.clip(np.asarray(values, np.float64) / white, 0.0, 1.0) * 255.0
    return np.moveaxis(np.rint(levels).astype(np.uint8), 1, -1)


def _shape_hint(shape: tuple[int, ...]) -> str:
    if len(shape) == 2:
        return "Add a batch axis: images[None]."
    if len(shape) == 4 and shape[-1] in (1, 3):
        return "Channels come first: images.transpose(0, 3, 1, 2)."
    return "Flattened images need a reshape."


def _white(values: np.ndarray) -> float:
    if not np.issubdtype(values.dtype, np.integer):
        return 1.0
    return next((float(level) for level in (1, 16) if values.max() <= level), 255.0)


def contact_sheet(
    images: Images,
    *,
    num_columns: int | None = None,
    max_value: float | int | None = None,
    scale: int | None = None,
    gap: int = 2,
    background: int = 255,
) -> UInt8[np.ndarray, "height width channels"]:
    """All images in rows on one sheet.

    Args:
        images: as in `to_pixels`.
        num_columns: images in a row; None: a nearly square sheet.
        max_value: the value of white, as in `to_pixels`.
        scale: each image pixel becomes `scale` x `scale` pixels; None: so that small images can be seen.
        gap: pixels between images.
        background: grey level of gaps and of places that no image fills, 0 to 255.

    Returns:
        Pixels with 1 or 3 channels. Image `i` starts at row `(i // num_columns) * (height * scale + gap)` and
        column `(i % num_columns) * (width * scale + gap)`.
    """
    pixels = to_pixels(images, max_value=max_value)
    num, height, width, channels = pixels.shape
    columns = sheet_columns(num, num_columns)
    rows = -(-num // columns)
    if scale is None:
        scale = default_scale(width, columns)
    elif scale < 1:
        raise ValueError(f"`scale` is a whole number of pixels, at least 1; got {scale}")
    pixels = pixels.repeat(scale, axis=1).repeat(scale, axis=2)
    height, width = height * scale + gap, width * scale + gap
    sheet = np.full((rows * height - gap, columns * width - gap, channels), background, np.uint8)
    for i, image in enumerate(pixels):
        top, left = (i // columns) * height, (i % columns) * width
        sheet[top : top + image.shape[0], left : left + image.shape[1]] = image
    return sheet


def sheet_columns(num: int, num_columns: int | None) -> int:
    """Images in a row: as asked, or a nearly square sheet that is rather wide than high."""
    if num_columns is None:
        return math.ceil(math.sqrt(num))
    if num_columns < 1:
        raise ValueError(f"`num_columns` must be at least 1; got {num_columns}")
    return min(num_columns, num)


def default_scale(width: int, num_columns: int) -> int:
    """The enlargement that brings a row of images near the sheet's usual width."""
    return max(1, min(_MAX_SCALE, _SHEET_WIDTH // (width * num_columns)))


def save_images(
    path: str | os.PathLike,
    images: Images,
    *,
    num_columns: int | None = None,
    max_value: float | int | None = None,
    scale: int | None = None,
    gap: int = 2,
) -> None:
    """Write a contact sheet as a PNG file, pixel by pixel; the file is whole or absent.

    Args:
        path: the file; its folder is made where it is missing.
        images: as in `to_pixels`.
        num_columns: as in `contact_sheet`.
        max_value: as in `to_pixels`.
        scale: as in `contact_sheet`.
        gap: as in `contact_sheet`.
    """
    sheet = contact_sheet(images, num_columns=num_columns, max_value=max_value, scale=scale, gap=gap)
    write_png(path, sheet)


def write_png(path: str | os.PathLike, pixels: Shaped[np.ndarray, "height width channels"]) -> None:
    """Write 8-bit pixels as a PNG file, whole or not at all."""
    picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    with atomic_path(path) as temporary:
        picture.save(temporary, format="png")
