"""Representation of rows of numbers: `x = (data - mean) / scale`, column by column."""

import math
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.representations import AbstractRepresentation, Support


class TableRows(AbstractRepresentation):
    """Rows of a table, shifted and scaled.

    >>> import numpy as np
    >>> rows = TableRows(("size", "weight"), mean=(1.0, 0.0), scale=(2.0, 1.0))
    >>> rows.encode(np.array([[3.0, 0.5]])).tolist()
    [[1.0, 0.5]]

    Attributes:
        columns: names of the columns.
        mean: what is taken away.
        scale: what is divided by.
    """

    columns: tuple[str, ...] = eqx.field(static=True)
    mean: tuple[float, ...] = eqx.field(static=True)
    scale: tuple[float, ...] = eqx.field(static=True)
    is_stochastic: ClassVar[bool] = False
    support: ClassVar[Support] = "real"

    def __check_init__(self) -> None:
        if not len(self.columns) == len(self.mean) == len(self.scale):
            raise ValueError(
                "`columns`, `mean` and `scale` must be equally many; got "
                f"{len(self.columns)}, {len(self.mean)} and {len(self.scale)}"
            )
        if not min(self.scale, default=1.0) > 0:
            raise ValueError(f"`scale` must be positive; got {self.scale}")

    def _encode_one(self, data: Float[Array, " d"], *, key: Key[Array, ""] | None) -> Float[Array, " d"]:
        return ((data - jnp.asarray(self.mean)) / jnp.asarray(self.scale)).astype(jnp.float32)

    def _decode_one(self, x: Float[Array, " d"]) -> Float[Array, " d"]:
        return jnp.asarray(self.mean) + jnp.asarray(self.scale) * x

    def _log_det_one(self, data: Float[Array, " d"], *, key: Key[Array, ""] | None) -> Float[Array, ""]:
        return jnp.full((), -sum(math.log(scale) for scale in self.scale), jnp.float32)
