"""Uniform on half the cells of a square."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.data.toys.base import AbstractToy, Limits, Point

_CELLS = 4  # in a row


class Checkerboard(AbstractToy):
    """Uniform on the eight black cells of a board of 4 x 4. The entropy is the logarithm of their area.

    >>> import math
    >>> round(math.exp(Checkerboard().entropy()), 3)
    32.0

    Attributes:
        size: side of the board, around 0.
    """

    size: float = eqx.field(static=True, default=8.0)

    @property
    def num_classes(self) -> int:
        """The black cells."""
        return _CELLS**2 // 2

    @property
    def limits(self) -> Limits:
        """The board."""
        return -self.size / 2, self.size / 2, -self.size / 2, self.size / 2

    @property
    def resolution(self) -> float:
        """The side of a cell."""
        return self.size / _CELLS

    @property
    def modes(self) -> None:
        """There are none."""
        return None

    def _sample_one(self, label: Int[Array, ""], *, key: Key[Array, ""]) -> Point:
        row, place = label // (_CELLS // 2), label % (_CELLS // 2)
        cell = jnp.stack([2 * place + row % 2, row])
        return self.resolution * (cell + jax.random.uniform(key, (2,))) - self.size / 2

    def _log_prob_one(self, x: Point) -> Float[Array, ""]:
        cell = jnp.floor((x + self.size / 2) / self.resolution)
        is_on_board = jnp.all((cell >= 0) & (cell < _CELLS))
        is_black = jnp.sum(cell) % 2 == 0
        return jnp.where(is_on_board & is_black, -math.log(self.size**2 / 2), -jnp.inf)
