"""Points on curves, with Gaussian noise.

With a point c(s) at the share s of a curve, s uniform in [0, 1], the density is

    p(x) = mean over curves of  integral_0^1 N(x; c(s), noise^2 I) ds.

There is no closed form even for an arc; the integral is taken by Gauss-Legendre quadrature on panels of at most twice
the noise, in a parameter u with s = s(u) in which the curve is smooth.
"""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.data.toys.base import AbstractToy, Limits, Point
from artifex.data.toys.quadrature import panel_nodes

_MARGIN = 6.0  # standard deviations of the noise


class AbstractNoisyCurves(AbstractToy):
    """Curves with noise. u goes from 0 to 1 along each of them.

    Attributes:
        noise: standard deviation of the noise.
    """

    noise: eqx.AbstractVar[float]

    @property
    @abc.abstractmethod
    def max_speed(self) -> float:
        """Largest length of curve for a unit of u."""

    @abc.abstractmethod
    def curve(self, label: Int[Array, ""], u: Float[Array, ""]) -> Point:
        """The point at u of a curve."""

    @abc.abstractmethod
    def share(self, u: Float[Array, ""]) -> Float[Array, ""]:
        """Part of the points of a curve that lie before u; smooth and rising from 0 to 1."""

    @abc.abstractmethod
    def parameter(self, share: Float[Array, ""]) -> Float[Array, ""]:
        """The inverse of `share`."""

    @property
    def resolution(self) -> float:
        """The noise."""
        return self.noise

    @property
    def modes(self) -> None:
        """There are none."""
        return None

    def _sample_one(self, label: Int[Array, ""], *, key: Key[Array, ""]) -> Point:
        place_key, noise_key = jax.random.split(key)
        u = self.parameter(jax.random.uniform(place_key))
        return self.curve(label, u) + self.noise * jax.random.normal(noise_key, (2,))

    def _log_prob_one(self, x: Point) -> Float[Array, ""]:
        nodes, weights = panel_nodes(0.0, 1.0, math.ceil(self.max_speed / (2 * self.noise)))
        u, labels = jnp.asarray(nodes, jnp.float32), jnp.arange(self.num_classes)
        centres = jax.vmap(lambda label: jax.vmap(lambda u: self.curve(label, u))(u))(labels)
        shares = jnp.asarray(weights, jnp.float32) * jax.vmap(jax.grad(self.share))(u)
        exponents = -0.5 * jnp.sum((x[None, None, :] - centres) ** 2, axis=-1) / self.noise**2
        constant = math.log(2 * math.pi * self.noise**2 * self.num_classes)
        return jax.nn.logsumexp(exponents, b=shares[None, :]) - constant


class TwoMoons(AbstractNoisyCurves):
    """The upper half of the unit circle, and the same turned by half a turn around (1/2, 1/4).

    The points of scikit-learn's `make_moons`, with the same default shape.

    Attributes:
        noise: standard deviation of the noise.
    """

    noise: float = eqx.field(static=True, default=0.1)

    @property
    def num_classes(self) -> int:
        """Two."""
        return 2

    @property
    def limits(self) -> Limits:
        """Both moons and their noise."""
        margin = _MARGIN * self.noise
        return -1.0 - margin, 2.0 + margin, -0.5 - margin, 1.0 + margin

    @property
    def max_speed(self) -> float:
        """The length of a moon."""
        return math.pi

    def curve(self, label: Int[Array, ""], u: Float[Array, ""]) -> Point:
        """The point at the angle pi u."""
        point = jnp.stack([jnp.cos(jnp.pi * u), jnp.sin(jnp.pi * u)])
        return jnp.where(label == 0, point, jnp.array([1.0, 0.5]) - point)

    def share(self, u: Float[Array, ""]) -> Float[Array, ""]:
        """The part of the length."""
        return u

    def parameter(self, share: Float[Array, ""]) -> Float[Array, ""]:
        """The part of the length."""
        return share


class Spirals(AbstractNoisyCurves):
    """Two spirals of Archimedes from 0 outwards, one the other turned by half a turn; nearly uniform in length.

    Attributes:
        radius: where a spiral ends.
        turns: how often it goes round.
        noise: standard deviation of the noise.
    """

    radius: float = eqx.field(static=True, default=3.0)
    turns: float = eqx.field(static=True, default=1.5)
    noise: float = eqx.field(static=True, default=0.1)

    @property
    def num_classes(self) -> int:
        """Two."""
        return 2

    @property
    def limits(self) -> Limits:
        """A square around both."""
        side = self.radius + _MARGIN * self.noise
        return -side, side, -side, side

    @property
    def max_speed(self) -> float:
        """That at the outer end."""
        return self.radius * math.hypot(1.0, 2 * math.pi * self.turns)

    def curve(self, label: Int[Array, ""], u: Float[Array, ""]) -> Point:
        """The point at u times the radius and u times the whole angle."""
        angle = 2 * jnp.pi * self.turns * u
        point = self.radius * u * jnp.stack([-jnp.cos(angle), jnp.sin(angle)])
        return jnp.where(label == 0, point, -point)

    def share(self, u: Float[Array, ""]) -> Float[Array, ""]:
        """Nearly the part of the length: speed grows with u."""
        return u**2

    def parameter(self, share: Float[Array, ""]) -> Float[Array, ""]:
        """Its root."""
        return jnp.sqrt(share)
