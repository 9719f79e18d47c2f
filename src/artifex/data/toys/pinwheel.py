"""Twisted spokes."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.data.toys.base import AbstractToy, Limits, Point


class Pinwheel(AbstractToy):
    """Long Gaussians around 0, twisted: a point at the distance r is turned by `twist exp(r / radius - 1)`.

    A turn by an angle that depends on r alone keeps areas, so the density is that of the spokes at the point turned
    back, and the entropy that of the spokes.

    Source: the "pinwheel" of Johnson et al. 2016, arXiv:1603.06277, section 6 (its code). There the angle depends on
    the coordinate along a spoke instead of r, which folds the plane, so that the density has no closed form.

    Attributes:
        num_arms: how many spokes.
        radius: distance of their means from 0.
        radial_scale: standard deviation along a spoke.
        tangential_scale: standard deviation across.
        twist: radians at the means.
    """

    num_arms: int = eqx.field(static=True, default=5)
    radius: float = eqx.field(static=True, default=2.0)
    radial_scale: float = eqx.field(static=True, default=0.6)
    tangential_scale: float = eqx.field(static=True, default=0.2)
    twist: float = eqx.field(static=True, default=0.7)

    @property
    def num_classes(self) -> int:
        """Number of spokes."""
        return self.num_arms

    @property
    def limits(self) -> Limits:
        """A square around all."""
        side = self.radius + 6 * max(self.radial_scale, self.tangential_scale)
        return -side, side, -side, side

    @property
    def resolution(self) -> float:
        """The width of a spoke, less where it is sheared."""
        outer = self.radius + 4 * self.radial_scale
        shear = abs(self.twist) * math.exp(outer / self.radius - 1) * outer / self.radius
        return min(self.radial_scale, self.tangential_scale) / math.hypot(1.0, shear)

    @property
    def modes(self) -> None:
        """There are none that are round."""
        return None

    def _turned(self, x: Point, label: Int[Array, ""], direction: float) -> Point:
        squared = jnp.sum(x**2)
        is_centre = squared == 0
        r = jnp.where(is_centre, 0.0, jnp.sqrt(jnp.where(is_centre, 1.0, squared)))
        angle = 2 * jnp.pi * label / self.num_arms + self.twist * jnp.exp(r / self.radius - 1)
        cos, sin = jnp.cos(angle), direction * jnp.sin(angle)
        return jnp.stack([cos * x[0] - sin * x[1], sin * x[0] + cos * x[1]])

    def _sample_one(self, label: Int[Array, ""], *, key: Key[Array, ""]) -> Point:
        scales = jnp.array([self.radial_scale, self.tangential_scale])
        spoke = jnp.array([self.radius, 0.0]) + scales * jax.random.normal(key, (2,))
        return self._turned(spoke, label, 1.0)

    def _log_prob_one(self, x: Point) -> Float[Array, ""]:
        spokes = jax.vmap(lambda label: self._turned(x, label, -1.0))(jnp.arange(self.num_arms))
        along = (spokes[:, 0] - self.radius) / self.radial_scale
        across = spokes[:, 1] / self.tangential_scale
        constant = math.log(2 * math.pi * self.radial_scale * self.tangential_scale * self.num_arms)
        return jax.nn.logsumexp(-0.5 * (along**2 + across**2)) - constant
