"""Gaussian paths from data to noise.

    x_t = alpha(t) x_0 + sigma(t) eps,   eps ~ N(0, I),   t = 0 data, t = 1 noise

with alpha falling and sigma / alpha rising. Everything follows from the log signal-to-noise ratio

    log_snr(t) = 2 log(alpha(t) / sigma(t)),

which falls from (nearly) infinity at t = 0, and from the total scale alpha^2 + sigma^2. All functions work
elementwise on arrays of times. Between `t_min` and `t_max` all are finite and invertible in float32; at t = 0 and
t = 1 themselves alpha and sigma are exact, and may be 0.
"""

import abc
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import PathConfig

Times = Float[Array, "..."]

# sigma / alpha lies in about [1e-6, 1e6]: beyond, float32 holds nothing of the smaller of the two.
MAX_LOG_SNR = 28.0
_LAST = 1.0 - 2**-24  # the float32 before 1


class AbstractPath(eqx.Module):
    """alpha and sigma as functions of time.

    Attributes:
        t_max: where samplers of models that predict noise begin: with less signal than there, dividing by alpha
            would leave nothing but round-off.
    """

    t_max: eqx.AbstractVar[float]

    @abc.abstractmethod
    def alpha(self, t: Times) -> Times:
        """Factor of the data."""

    @abc.abstractmethod
    def sigma(self, t: Times) -> Times:
        """Factor of the noise."""

    @abc.abstractmethod
    def _log_snr(self, t: Times) -> Times:
        """2 log(alpha / sigma), where both are positive."""

    @abc.abstractmethod
    def _time(self, log_snr: Times) -> Times:
        """The inverse of `_log_snr`."""

    def log_snr(self, t: Times) -> Times:
        """Log signal-to-noise ratio 2 log(alpha / sigma), cut off at +-28 so that it is finite at both ends."""
        inside = jnp.clip(t, 1e-30, _LAST)
        return jnp.clip(self._log_snr(inside), -MAX_LOG_SNR, MAX_LOG_SNR)

    def time(self, log_snr: Times) -> Times:
        """The time at which the log-SNR has a value: the inverse of `log_snr`, cut off at 0 and 1."""
        return jnp.clip(self._time(log_snr), 0.0, 1.0)

    def derivatives(self, t: Times) -> tuple[Times, Times]:
        """D alpha / dt and d sigma / dt; where sigma starts like a root, at t = 0, that of a moment later."""
        t = jnp.clip(t, 1e-7, _LAST)
        ones = jnp.ones_like(t)
        return jax.jvp(self.alpha, (t,), (ones,))[1], jax.jvp(self.sigma, (t,), (ones,))[1]


@singledispatch
def make_path(config: PathConfig) -> AbstractPath:
    """The path that a config describes."""
    raise LookupError(f"no path is registered for {type(config).__name__}; use @make_path.register")
