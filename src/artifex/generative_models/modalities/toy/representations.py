"""Representation of points in the plane: `x = (data - mean) / scale`, coordinate by coordinate."""

import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.data.toys import AbstractToy
from artifex.generative_models.core.representations import AbstractRepresentation, Support


class ToyPoints(AbstractRepresentation):
    """Points of a toy distribution, shifted and scaled.

    >>> import numpy as np
    >>> from artifex.data.toys import Checkerboard
    >>> points = ToyPoints(Checkerboard(), mean=(1.0, 0.0), scale=(2.0, 1.0))
    >>> points.encode(np.array([[3.0, 0.5]])).tolist()
    [[1.0, 0.5]]

    Attributes:
        toy: the distribution of the stored points.
        mean: what is taken away.
        scale: what is divided by.
    """

    toy: AbstractToy
    mean: tuple[float, float] = eqx.field(static=True, default=(0.0, 0.0))
    scale: tuple[float, float] = eqx.field(static=True, default=(1.0, 1.0))
    is_stochastic: ClassVar[bool] = False
    support: ClassVar[Support] = "real"

    def __check_init__(self) -> None:
        if not min(self.scale) > 0:
            raise ValueError(f"`scale` must be positive; got {self.scale}")

    def _encode_one(self, data: Float[Array, "2"], *, key: Key[Array, ""] | None) -> Float[Array, "2"]:
        return ((data - jnp.asarray(self.mean)) / jnp.asarray(self.scale)).astype(jnp.float32)

    def _decode_one(self, x: Float[Array, "2"]) -> Float[Array, "2"]:
        return jnp.asarray(self.mean) + jnp.asarray(self.scale) * x

    def _log_det_one(self, data: Float[Array, "2"], *, key: Key[Array, ""] | None) -> Float[Array, ""]:
        return jnp.full((), -sum(math.log(scale) for scale in self.scale), jnp.float32)


def standardized(toy: AbstractToy, points: Float[np.ndarray, "n 2"]) -> ToyPoints:
    """The representation in which these points have mean 0 and standard deviation 1 in each coordinate."""
    points = points.astype(np.float64)
    mean, scale = points.mean(axis=0), points.std(axis=0)
    return ToyPoints(toy, (float(mean[0]), float(mean[1])), (float(scale[0]), float(scale[1])))
