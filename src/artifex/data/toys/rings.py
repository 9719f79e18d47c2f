"""Circles with Gaussian noise."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.data.toys.base import AbstractToy, Limits, Point


class Rings(AbstractToy):
    """Uniform on circles around 0, with Gaussian noise in the plane.

    A point on the circle of radius R has, with noise s, the density

        p(x) = exp(-(r^2 + R^2) / (2 s^2)) I_0(r R / s^2) / (2 pi s^2),   r = |x|,

    with the modified Bessel function I_0, the integral over the angle.

    Attributes:
        num_rings: how many circles.
        spacing: radius of the first, and from one to the next.
        noise: standard deviation of the noise.
    """

    num_rings: int = eqx.field(static=True, default=3)
    spacing: float = eqx.field(static=True, default=1.0)
    noise: float = eqx.field(static=True, default=0.1)

    @property
    def num_classes(self) -> int:
        """Number of circles."""
        return self.num_rings

    @property
    def limits(self) -> Limits:
        """A square around the last circle."""
        side = self.num_rings * self.spacing + 6 * self.noise
        return -side, side, -side, side

    @property
    def resolution(self) -> float:
        """The noise."""
        return self.noise

    @property
    def modes(self) -> None:
        """There are none."""
        return None

    def _sample_one(self, label: Int[Array, ""], *, key: Key[Array, ""]) -> Point:
        angle_key, noise_key = jax.random.split(key)
        angle = 2 * jnp.pi * jax.random.uniform(angle_key)
        point = self.spacing * (label + 1) * jnp.stack([jnp.cos(angle), jnp.sin(angle)])
        return point + self.noise * jax.random.normal(noise_key, (2,))

    def _log_prob_one(self, x: Point) -> Float[Array, ""]:
        squared = jnp.sum(x**2)
        is_centre = squared == 0
        r = jnp.where(is_centre, 0.0, jnp.sqrt(jnp.where(is_centre, 1.0, squared)))
        radii = self.spacing * jnp.arange(1, self.num_rings + 1)
        # I_0(z) = exp(z) i0e(z), and r^2 + R^2 - 2 r R = (r - R)^2.
        log_bessel = jnp.log(jax.scipy.special.i0e(r * radii / self.noise**2))
        logs = -0.5 * ((r - radii) / self.noise) ** 2 + log_bessel
        return jax.nn.logsumexp(logs) - math.log(2 * math.pi * self.noise**2 * self.num_rings)
