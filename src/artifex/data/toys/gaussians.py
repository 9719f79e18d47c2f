"""Mixtures of round Gaussians."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from artifex.data.toys.base import AbstractToy, Limits, Point


class Gaussians(AbstractToy):
    """Round Gaussians of one standard deviation, all equally probable.

    >>> toy = Gaussians(((0.0, 0.0),), scale=1.0)
    >>> round(toy.entropy(), 4)  # log(2 pi e)
    2.8379

    Attributes:
        means: their centres.
        scale: their standard deviation.
    """

    means: tuple[tuple[float, float], ...] = eqx.field(static=True)
    scale: float = eqx.field(static=True)

    def __check_init__(self) -> None:
        if not self.means or not self.scale > 0:
            raise ValueError(
                f"at least one mean and a positive `scale` are needed; got {self.means}, {self.scale}"
            )

    @property
    def num_classes(self) -> int:
        """Number of Gaussians."""
        return len(self.means)

    @property
    def limits(self) -> Limits:
        """Six standard deviations around all means."""
        (x_min, y_min), (x_max, y_max) = self.modes.min(0), self.modes.max(0)
        margin = 6 * self.scale
        return float(x_min - margin), float(x_max + margin), float(y_min - margin), float(y_max + margin)

    @property
    def resolution(self) -> float:
        """The standard deviation."""
        return self.scale

    @property
    def modes(self) -> Float[np.ndarray, "modes 2"]:
        """The means."""
        return np.asarray(self.means, np.float64)

    def _sample_one(self, label: Int[Array, ""], *, key: Key[Array, ""]) -> Point:
        return jnp.asarray(self.means)[label] + self.scale * jax.random.normal(key, (2,))

    def _log_prob_one(self, x: Point) -> Float[Array, ""]:
        squares = jnp.sum((x[None, :] - jnp.asarray(self.means)) ** 2, axis=-1)
        constant = math.log(2 * math.pi * self.scale**2 * self.num_classes)
        return jax.nn.logsumexp(-0.5 * squares / self.scale**2) - constant


def eight_gaussians(radius: float, scale: float) -> Gaussians:
    """Eight Gaussians on a circle around 0."""
    angles = (2 * math.pi * i / 8 for i in range(8))
    return Gaussians(tuple((radius * math.cos(a), radius * math.sin(a)) for a in angles), scale)


def gaussian_grid(num_per_side: int, spacing: float, scale: float) -> Gaussians:
    """`num_per_side`^2 Gaussians on a square grid around 0."""
    places = [spacing * (i - (num_per_side - 1) / 2) for i in range(num_per_side)]
    return Gaussians(tuple((x, y) for x in places for y in places), scale)
