"""Gaussian paths from data to noise.

    x_t = alpha(t) x_0 + sigma(t) eps,   eps ~ N(0, I),   t = 0 data, t = 1 noise

with alpha falling and sigma / alpha rising. Everything follows from the log signal-to-noise ratio

    log_snr(t) = 2 log(alpha(t) / sigma(t)),

which falls from (nearly) infinity at t = 0, and from the total scale alpha^2 + sigma^2. All functions work
elementwise on arrays of times. Between `t_min` and `t_max` all are finite and invertible in float32; at t = 0 and
t = 1 themselves alpha and sigma are exact, and may be 0.
"""

import abc
import functools
import math
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import (
    CosinePathConfig,
    DDPMPathConfig,
    EDMPathConfig,
    LinearPathConfig,
    PathConfig,
    SigmoidPathConfig,
    SubVPPathConfig,
    TrigonometricPathConfig,
    VEPathConfig,
    VPPathConfig,
)

Times = Float[Array, "..."]

# sigma / alpha lies in about [1e-6, 1e6]: beyond, float32 holds nothing of the smaller of the two.
MAX_LOG_SNR = 28.0


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
        inside = jnp.clip(t, *self._interior)
        return jnp.clip(self._log_snr(inside), -MAX_LOG_SNR, MAX_LOG_SNR)

    def time(self, log_snr: Times) -> Times:
        """The time at which the log-SNR has a value: the inverse of `log_snr`, cut off at 0 and 1."""
        return jnp.clip(self._time(log_snr), 0.0, 1.0)

    def derivatives(self, t: Times) -> tuple[Times, Times]:
        """D alpha / dt and d sigma / dt; where sigma starts like a root, at t = 0, that of a moment later."""
        t = jnp.clip(t, *self._interior)
        ones = jnp.ones_like(t)
        return jax.jvp(self.alpha, (t,), (ones,))[1], jax.jvp(self.sigma, (t,), (ones,))[1]

    @property
    def _interior(self) -> tuple[float, float]:
        return 1e-7, 1.0 - 2**-24


class VPPath(AbstractPath):
    """alpha^2 = exp(-B), sigma^2 = 1 - alpha^2, B(t) = beta_min t + (beta_max - beta_min) t^2 / 2."""

    beta_min: float = eqx.field(static=True)
    beta_max: float = eqx.field(static=True)
    t_max: float = eqx.field(static=True, default=1.0)

    def alpha(self, t: Times) -> Times:
        """exp(-B / 2)."""
        return jnp.exp(-0.5 * _integral(self, t))

    def sigma(self, t: Times) -> Times:
        """sqrt(1 - exp(-B)), without cancellation."""
        return jnp.sqrt(-jnp.expm1(-_integral(self, t)))

    def _log_snr(self, t: Times) -> Times:
        return -jnp.log(jnp.expm1(_integral(self, t)))

    def _time(self, log_snr: Times) -> Times:
        return _integral_inverse(self, jax.nn.softplus(-log_snr))


class SubVPPath(AbstractPath):
    """alpha as in `VPPath`, sigma = 1 - alpha^2."""

    beta_min: float = eqx.field(static=True)
    beta_max: float = eqx.field(static=True)
    t_max: float = eqx.field(static=True, default=1.0)

    def alpha(self, t: Times) -> Times:
        """exp(-B / 2)."""
        return jnp.exp(-0.5 * _integral(self, t))

    def sigma(self, t: Times) -> Times:
        """1 - exp(-B), without cancellation."""
        return -jnp.expm1(-_integral(self, t))

    def _log_snr(self, t: Times) -> Times:
        return -2.0 * jnp.log(2.0 * jnp.sinh(0.5 * _integral(self, t)))

    def _time(self, log_snr: Times) -> Times:
        # sigma / alpha = 2 sinh(B / 2)
        return _integral_inverse(self, 2.0 * jnp.arcsinh(0.5 * jnp.exp(-0.5 * log_snr)))


def _integral(path: VPPath | SubVPPath, t: Times) -> Times:
    return t * (path.beta_min + 0.5 * (path.beta_max - path.beta_min) * t)


def _integral_inverse(path: VPPath | SubVPPath, integral: Times) -> Times:
    slope = path.beta_max - path.beta_min
    return 2.0 * integral / (path.beta_min + jnp.sqrt(path.beta_min**2 + 2.0 * slope * integral))


class CosinePath(AbstractPath):
    """alpha = cos(a(t)) / cos(a(0)), a(t) = (t + offset) / (1 + offset) pi / 2, sigma^2 = 1 - alpha^2.

    With offset 0 this is the trigonometric path.
    """

    offset: float = eqx.field(static=True)
    t_max: float = eqx.field(static=True, default=0.9996)

    def alpha(self, t: Times) -> Times:
        """Written as the sine of the rest, exactly 0 at t = 1."""
        return jnp.sin(self._quarter * (1.0 - t)) / math.sin(self._quarter)

    def sigma(self, t: Times) -> Times:
        """sqrt(cos^2 a(0) - cos^2 a(t)) / cos a(0) = sqrt(sin(a(t) - a(0)) sin(a(t) + a(0))) / cos a(0)."""
        low = 0.5 * math.pi - self._quarter
        product = jnp.sin(self._quarter * t) * jnp.sin(self._quarter * t + 2.0 * low)
        return jnp.sqrt(jnp.maximum(product, 0.0)) / math.sin(self._quarter)

    def _log_snr(self, t: Times) -> Times:
        return 2.0 * (jnp.log(self.alpha(t)) - jnp.log(self.sigma(t)))

    def _time(self, log_snr: Times) -> Times:
        # 1 - t from alpha at the noisy end, t from sigma at the clean one: both without cancellation.
        sine = math.sin(self._quarter)
        noisy = 1.0 - jnp.arcsin(jnp.sqrt(jax.nn.sigmoid(log_snr)) * sine) / self._quarter
        low = 0.5 * math.pi - self._quarter
        squared = jax.nn.sigmoid(-log_snr) * sine**2 + math.sin(low) ** 2  # sin^2 a(t)
        clean = (jnp.arcsin(jnp.sqrt(squared)) - low) / self._quarter
        return jnp.where(log_snr < 0, noisy, clean)

    @property
    def _quarter(self) -> float:
        return 0.5 * math.pi / (1.0 + self.offset)


class SigmoidPath(AbstractPath):
    """alpha^2 = (s(t) - s(1)) / (s(0) - s(1)), s(t) = sigmoid(-(start + (end - start) t) / temperature)."""

    start: float = eqx.field(static=True)
    end: float = eqx.field(static=True)
    temperature: float = eqx.field(static=True)
    t_max: float = eqx.field(static=True, default=0.9996)

    def alpha(self, t: Times) -> Times:
        """Root of the signal's share."""
        return jnp.sqrt(self._signal(t))

    def sigma(self, t: Times) -> Times:
        """Root of the noise's share."""
        return jnp.sqrt(self._noise(t))

    # sigmoid(a) - sigmoid(b) = sigmoid(a) sigmoid(-b) (1 - exp(b - a)): no cancellation at either end.

    def _signal(self, t: Times) -> Times:
        left = (self.end - self.start) / self.temperature * (t - 1.0)
        return -jax.nn.sigmoid(-self._position(t)) * _sigmoid(self._at_end) * jnp.expm1(left) / self._range

    def _noise(self, t: Times) -> Times:
        gone = (self.end - self.start) / self.temperature * t
        return jax.nn.sigmoid(-self._position(t)) * _sigmoid(self._at_start) * jnp.expm1(gone) / self._range

    def _position(self, t: Times) -> Times:
        return (self.start + (self.end - self.start) * t) / self.temperature

    def _log_snr(self, t: Times) -> Times:
        return jnp.log(self._signal(t)) - jnp.log(self._noise(t))

    def _time(self, log_snr: Times) -> Times:
        # How far the sigmoid's argument lies from that at one end follows from what the sigmoid differs there.
        noise, signal = (self._range * jax.nn.sigmoid(sign * log_snr) for sign in (-1.0, 1.0))
        width = self.temperature / (self.end - self.start)
        from_start = jnp.log1p(noise / _sigmoid(self._at_start)) - jnp.log1p(
            -noise / _sigmoid(-self._at_start)
        )
        from_end = jnp.log1p(signal / _sigmoid(-self._at_end)) - jnp.log1p(-signal / _sigmoid(self._at_end))
        return jnp.where(log_snr > 0, width * from_start, 1.0 - width * from_end)

    @property
    def _at_start(self) -> float:
        return self.start / self.temperature

    @property
    def _at_end(self) -> float:
        return self.end / self.temperature

    @property
    def _range(self) -> float:
        return _sigmoid(-self._at_start) - _sigmoid(-self._at_end)


def _sigmoid(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-x))


class VEPath(AbstractPath):
    """alpha = 1, sigma = sigma_min (sigma_max / sigma_min)^t: the one path on which data at t = 0 are not clean."""

    sigma_min: float = eqx.field(static=True)
    sigma_max: float = eqx.field(static=True)
    t_max: float = eqx.field(static=True, default=1.0)

    def alpha(self, t: Times) -> Times:
        """One."""
        return jnp.ones_like(t)

    def sigma(self, t: Times) -> Times:
        """Geometric."""
        return self.sigma_min * jnp.exp(math.log(self.sigma_max / self.sigma_min) * t)

    def _log_snr(self, t: Times) -> Times:
        return -2.0 * (math.log(self.sigma_min) + math.log(self.sigma_max / self.sigma_min) * t)

    def _time(self, log_snr: Times) -> Times:
        return -(0.5 * log_snr + math.log(self.sigma_min)) / math.log(self.sigma_max / self.sigma_min)


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


@singledispatch
def make_path(config: PathConfig) -> AbstractPath:
    """The path that a config describes."""
    raise LookupError(f"no path is registered for {type(config).__name__}; use @make_path.register")


@make_path.register
def _(config: VPPathConfig) -> AbstractPath:
    return VPPath(config.beta_min, config.beta_max)


@make_path.register
def _(config: SubVPPathConfig) -> AbstractPath:
    return SubVPPath(config.beta_min, config.beta_max)


@make_path.register
def _(config: CosinePathConfig) -> AbstractPath:
    return CosinePath(config.offset)


@make_path.register
def _(config: TrigonometricPathConfig) -> AbstractPath:
    return CosinePath(0.0, t_max=1.0)


@make_path.register
def _(config: SigmoidPathConfig) -> AbstractPath:
    return SigmoidPath(config.start, config.end, config.temperature)


@make_path.register
def _(config: VEPathConfig) -> AbstractPath:
    return VEPath(config.sigma_min, config.sigma_max)


@make_path.register
def _(config: EDMPathConfig) -> AbstractPath:
    return EDMPath(config.sigma_min, config.sigma_max)


@make_path.register
def _(config: LinearPathConfig) -> AbstractPath:
    return LinearPath()


@make_path.register
def _(config: DDPMPathConfig) -> AbstractPath:
    return DDPMPath(config)
