"""The classical table of noise levels, as a path."""

import functools
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from artifex.generative_models.core.configuration import DDPMPathConfig
from artifex.generative_models.models.diffusion.paths.base import AbstractPath, Times, make_path


class DDPMPath(AbstractPath):
    """A table of noise levels at t = i / N, i = 1, ..., N, with log-SNR linear in t between them.

    The table is alpha_i^2 = prod_{j <= i} (1 - beta_j), computed in float64.
    """

    config: DDPMPathConfig = eqx.field(static=True)
    t_max: float = eqx.field(static=True, default=1.0)

    def alpha(self, t: Times) -> Times:
        """Root of the sigmoid of the log-SNR; exactly 1 at t = 0."""
        return jnp.where(t > 0, jnp.sqrt(jax.nn.sigmoid(self.log_snr(t))), 1.0)

    def sigma(self, t: Times) -> Times:
        """Root of the sigmoid of minus the log-SNR; exactly 0 at t = 0."""
        return jnp.where(t > 0, jnp.sqrt(jax.nn.sigmoid(-self.log_snr(t))), 0.0)

    def _log_snr(self, t: Times) -> Times:
        # A grid point's float32 time times N is not quite an integer; the table has its value all the same.
        step = t * self.config.num_steps
        nearest = jnp.maximum(jnp.round(step), 1.0)
        is_close = jnp.abs(step - nearest) < 2.0**-22 * self.config.num_steps
        step = step + jax.lax.stop_gradient(jnp.where(is_close, nearest - step, 0.0))
        steps, values = self._knots
        first = values[0] - jnp.log(step)  # below the first step sigma^2 grows as t, as in continuous time
        return jnp.where(step < 1, first, jnp.interp(step, steps, values))

    def _time(self, log_snr: Times) -> Times:
        steps, values = self._knots
        first = jnp.exp(values[0] - log_snr)
        step = jnp.where(log_snr > values[0], first, jnp.interp(-log_snr, -values, steps))
        return step / self.config.num_steps

    @property
    def _knots(self) -> tuple[np.ndarray, np.ndarray]:
        alpha_squared = alphas_squared(self.config)
        values = np.log(alpha_squared) - np.log1p(-alpha_squared)
        return np.arange(1, len(values) + 1, dtype=np.float32), values.astype(np.float32)


@functools.lru_cache
def alphas_squared(config: DDPMPathConfig) -> np.ndarray:
    """The classical table of alpha_i^2 (often called alpha-bar), float64, shape `(num_steps,)`."""
    n = config.num_steps
    start, end = config.beta_start, config.beta_end
    steps = np.arange(n + 1) / n
    cosine = np.cos((steps + 0.008) / 1.008 * np.pi / 2) ** 2
    betas = {
        "linear": np.linspace(start, end, n),
        "scaled_linear": np.linspace(math.sqrt(start), math.sqrt(end), n) ** 2,
        "cosine": np.minimum(1 - cosine[1:] / cosine[:-1], config.beta_limit),
    }[config.betas]
    table = np.cumprod(1.0 - betas)
    table.flags.writeable = False
    return table


@make_path.register
def _(config: DDPMPathConfig) -> AbstractPath:
    return DDPMPath(config=config)
