"""Where the patches of an image stand: features that are added to them, or rotations of queries and keys.

Both use the frequencies 10,000^(-i / n), i from 0 to n - 1, for the column and for the row.
"""

import functools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

_BASE = 10_000.0


@functools.lru_cache(maxsize=16)
def position_features(height: int, width: int, size: int) -> Float[np.ndarray, "tokens size"]:
    """Sines and cosines of the column, then of the row.

    Source: He et al. 2022 (MAE), arXiv:2111.06377.

    Args:
        height: rows of the grid; tokens come row by row.
        width: columns.
        size: number of features, a multiple of 4.
    """
    angles = _angles(height, width, size // 4)
    features = np.concatenate([f(angle) for angle in angles for f in (np.sin, np.cos)], axis=1)
    return _kept(features)


@functools.lru_cache(maxsize=16)
def rotations(
    height: int, width: int, head_size: int
) -> tuple[Float[np.ndarray, "tokens pairs"], Float[np.ndarray, "tokens pairs"]]:
    """Cosines and sines by which `rotated` turns each pair of features: half the pairs by the column, half by the row.

    Source: Su et al. 2021, arXiv:2104.09864, equation 15; along both axes as in Lu et al. 2024 (FiT),
    arXiv:2402.12376.

    Args:
        height: rows of the grid; tokens come row by row.
        width: columns.
        head_size: features of a head, a multiple of 4.
    """
    angles = np.concatenate(_angles(height, width, head_size // 4), axis=1)
    return _kept(np.cos(angles)), _kept(np.sin(angles))


def rotated(
    h: Float[Array, "tokens heads head_size"],
    turns: tuple[Float[np.ndarray, "tokens pairs"], Float[np.ndarray, "tokens pairs"]],
) -> Float[Array, "tokens heads head_size"]:
    """Queries or keys whose products depend on places through their difference alone; in float32.

    Args:
        h: features; numbers i and head_size / 2 + i are a pair.
        turns: those of `rotations`.
    """
    cosine, sine = (jnp.asarray(turn)[:, None] for turn in turns)
    first, second = jnp.split(h.astype(jnp.float32), 2, axis=2)
    turned = [first * cosine - second * sine, first * sine + second * cosine]
    return jnp.concatenate(turned, axis=2).astype(h.dtype)


def _angles(height: int, width: int, num: int) -> list[np.ndarray]:
    """Column times frequencies, and row times frequencies."""
    frequencies = _BASE ** -(np.arange(num) / num)
    rows, columns = np.divmod(np.arange(height * width), width)
    return [place[:, None] * frequencies for place in (columns, rows)]


def _kept(array: np.ndarray) -> np.ndarray:
    array = array.astype(np.float32)
    array.flags.writeable = False  # it is kept for the next call
    return array
