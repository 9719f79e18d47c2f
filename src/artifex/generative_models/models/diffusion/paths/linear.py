"""The straight line from data to noise."""

import equinox as eqx
import jax
import jax.numpy as jnp

from artifex.generative_models.core.configuration import LinearPathConfig
from artifex.generative_models.models.diffusion.paths.base import AbstractPath, Times, make_path


class LinearPath(AbstractPath):
    """alpha = 1 - t, sigma = t."""

    t_max: float = eqx.field(static=True, default=1.0)

    def alpha(self, t: Times) -> Times:
        """What is left."""
        return 1.0 - t

    def sigma(self, t: Times) -> Times:
        """Time itself."""
        return t * 1.0

    def _log_snr(self, t: Times) -> Times:
        return 2.0 * (jnp.log1p(-t) - jnp.log(t))

    def _time(self, log_snr: Times) -> Times:
        return jax.nn.sigmoid(-0.5 * log_snr)


@make_path.register
def _(config: LinearPathConfig) -> AbstractPath:
    return LinearPath()
