"""Paths on which data keep their size: alpha is 1."""

import math

import equinox as eqx
import jax.numpy as jnp

from artifex.generative_models.core.configuration import EDMPathConfig, VEPathConfig
from artifex.generative_models.models.diffusion.paths.base import AbstractPath, Times, make_path


class VEPath(AbstractPath):
    """alpha = 1, sigma^2 = sigma_min^2 ((sigma_max / sigma_min)^(2t) - 1).

    The exact standard deviation of the variance-exploding SDE, so data at t = 0 are clean; Song et al. leave out the
    "- 1" in their code, which makes no difference where sigma is far above sigma_min.
    """

    sigma_min: float = eqx.field(static=True)
    sigma_max: float = eqx.field(static=True)
    t_max: float = eqx.field(static=True, default=1.0)

    def alpha(self, t: Times) -> Times:
        """One."""
        return jnp.ones_like(t)

    def sigma(self, t: Times) -> Times:
        """Geometric, but for its start."""
        return self.sigma_min * jnp.sqrt(jnp.expm1(self._rate * t))

    def _log_snr(self, t: Times) -> Times:
        return -2.0 * math.log(self.sigma_min) - jnp.log(jnp.expm1(self._rate * t))

    def _time(self, log_snr: Times) -> Times:
        return jnp.log1p(jnp.exp(-log_snr) / self.sigma_min**2) / self._rate

    @property
    def _rate(self) -> float:
        return 2.0 * math.log(self.sigma_max / self.sigma_min)


class EDMPath(AbstractPath):
    """alpha = 1, sigma = sigma_max t."""

    sigma_min: float = eqx.field(static=True)
    sigma_max: float = eqx.field(static=True)
    t_max: float = eqx.field(static=True, default=1.0)

    def alpha(self, t: Times) -> Times:
        """One."""
        return jnp.ones_like(t)

    def sigma(self, t: Times) -> Times:
        """Linear."""
        return self.sigma_max * t

    def _log_snr(self, t: Times) -> Times:
        return -2.0 * jnp.log(self.sigma_max * t)

    def _time(self, log_snr: Times) -> Times:
        return jnp.exp(-0.5 * log_snr) / self.sigma_max


@make_path.register
def _(config: VEPathConfig) -> AbstractPath:
    return VEPath(sigma_min=config.sigma_min, sigma_max=config.sigma_max)


@make_path.register
def _(config: EDMPathConfig) -> AbstractPath:
    return EDMPath(sigma_min=config.sigma_min, sigma_max=config.sigma_max)
