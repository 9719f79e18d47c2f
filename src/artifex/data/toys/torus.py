"""Mixtures on the torus: pairs of angles."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.data.toys.base import AbstractToy, Limits, Point
from artifex.generative_models.core.distributions import von_mises


class TorusMixture(AbstractToy):
    """Pairs of independent von Mises angles around equally spaced points of a line that winds round the torus.

    The line goes once round in the first angle while it goes twice in the second, and closes. The first mode is where
    the square of angles is cut open, at (-pi, -pi).

    Attributes:
        num_modes: how many points.
        concentration: of both angles around each; about 1 / variance.
    """

    num_modes: int = eqx.field(static=True, default=5)
    concentration: float = eqx.field(static=True, default=8.0)

    @property
    def num_classes(self) -> int:
        """Number of points."""
        return self.num_modes

    @property
    def limits(self) -> Limits:
        """All angles."""
        return -math.pi, math.pi, -math.pi, math.pi

    @property
    def resolution(self) -> float:
        """About the standard deviation of an angle."""
        return min(self.concentration**-0.5, 1.0)

    @property
    def modes(self) -> None:
        """There are none that are Gaussian."""
        return None

    def _means(self) -> Float[Array, "modes 2"]:
        turns = 2 * math.pi * jnp.arange(self.num_modes) / self.num_modes
        return jnp.stack([turns, 2 * turns], axis=1) - math.pi

    def _sample_one(self, label: Int[Array, ""], *, key: Key[Array, ""]) -> Point:
        return von_mises(self._means()[label], self.concentration).sample(seed=key)

    def _log_prob_one(self, x: Point) -> Float[Array, ""]:
        one = jax.vmap(lambda mean: von_mises(mean, self.concentration).log_prob(x))(self._means())
        return jax.nn.logsumexp(one) - math.log(self.num_modes)
