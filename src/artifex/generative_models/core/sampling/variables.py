"""In which variable a differential equation of sampling is solved.

Along the probability-flow ODE, dx/dt = alpha'(t) data + sigma'(t) noise, but on many paths sigma' is infinite at the
data, and on all of them steps of equal difficulty are far from equal in t. Another variable u(t) and another scale of x
give the same curve:

    time    u = t,                      y = x,                          dy/du = alpha' data + sigma' noise
    angle   u = atan2(sigma, alpha),    y = x / hypot(alpha, sigma),    dy/du = cos(u) noise - sin(u) data

The angle runs from 0 at the data to at most pi / 2 at the noise, and its slope is bounded at both ends, on all paths.

Sources: Song et al. 2021, arXiv:2011.13456, equation 13; the angle: Salimans & Ho 2022, arXiv:2202.00512, equation 25.
"""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import Example, Scalar
from artifex.generative_models.core.sampling.estimates import Denoiser, Estimate


class AbstractVariable(eqx.Module):
    """A variable that falls from noise to data, and a scale of x."""

    @abc.abstractmethod
    def at(self, path: GaussianPath, t: Float[Array, "..."]) -> Float[Array, "..."]:
        """The variable at a time."""

    @abc.abstractmethod
    def time(self, path: GaussianPath, u: Scalar) -> Scalar:
        """The time at which it has a value."""

    @abc.abstractmethod
    def scale(self, path: GaussianPath, u: Scalar) -> Scalar:
        """Factor of x in y."""

    @abc.abstractmethod
    def combine(self, path: GaussianPath, u: Scalar, estimate: Estimate) -> Example:
        """dy/du of an estimate."""

    def slope(self, denoise: Denoiser, path: GaussianPath, u: Scalar, y: Example) -> Example:
        """dy/du, by one evaluation of the denoiser."""
        return self.combine(path, u, denoise(y / self.scale(path, u), self.time(path, u)))


class TimeVariable(AbstractVariable):
    """The path's own time. Not for steps to t = 0 on paths where sigma starts like a root there (VP, VE, DDPM)."""

    def at(self, path: GaussianPath, t: Float[Array, "..."]) -> Float[Array, "..."]:
        """Itself."""
        return t

    def time(self, path: GaussianPath, u: Scalar) -> Scalar:
        """Itself."""
        return u

    def scale(self, path: GaussianPath, u: Scalar) -> Scalar:
        """One."""
        return jnp.ones_like(u)

    def combine(self, path: GaussianPath, u: Scalar, estimate: Estimate) -> Example:
        """Alpha' data + sigma' noise."""
        inside = jnp.clip(u, 1e-7, 1.0 - 2**-24)  # where derivatives of all paths are finite
        alpha, sigma = (
            jax.jvp(function, (inside,), (jnp.ones_like(u),))[1] for function in (path.alpha, path.sigma)
        )
        return alpha * estimate.data + sigma * estimate.noise


class AngleVariable(AbstractVariable):
    """atan2(sigma, alpha), with y of the size of data at one end and of noise at the other."""

    def at(self, path: GaussianPath, t: Float[Array, "..."]) -> Float[Array, "..."]:
        """In [0, pi / 2]."""
        return jnp.arctan2(path.sigma(t), path.alpha(t))

    def time(self, path: GaussianPath, u: Scalar) -> Scalar:
        """From the log-SNR, 2 log cot u, cut off where the path's is."""
        cosine, sine = (jnp.maximum(function(u), 1e-7) for function in (jnp.cos, jnp.sin))
        return path.time(2.0 * (jnp.log(cosine) - jnp.log(sine)))

    def scale(self, path: GaussianPath, u: Scalar) -> Scalar:
        """1 / hypot(alpha, sigma)."""
        t = self.time(path, u)
        return 1.0 / jnp.hypot(path.alpha(t), path.sigma(t))

    def combine(self, path: GaussianPath, u: Scalar, estimate: Estimate) -> Example:
        """A quarter turn ahead of y = cos(u) data + sin(u) noise."""
        return jnp.cos(u) * estimate.noise - jnp.sin(u) * estimate.data
