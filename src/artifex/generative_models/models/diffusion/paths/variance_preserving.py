"""Paths on which alpha^2 + sigma^2 is 1, and the sub-VP path, on which it is less in between."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp

from artifex.generative_models.core.configuration import (
    CosinePathConfig,
    SigmoidPathConfig,
    SubVPPathConfig,
    TrigonometricPathConfig,
    VPPathConfig,
)
from artifex.generative_models.models.diffusion.paths.base import AbstractPath, Times, make_path


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


@make_path.register
def _(config: VPPathConfig) -> AbstractPath:
    return VPPath(beta_min=config.beta_min, beta_max=config.beta_max)


@make_path.register
def _(config: SubVPPathConfig) -> AbstractPath:
    return SubVPPath(beta_min=config.beta_min, beta_max=config.beta_max)


@make_path.register
def _(config: CosinePathConfig) -> AbstractPath:
    return CosinePath(offset=config.offset)


@make_path.register
def _(config: TrigonometricPathConfig) -> AbstractPath:
    return CosinePath(offset=0.0, t_max=1.0)


@make_path.register
def _(config: SigmoidPathConfig) -> AbstractPath:
    return SigmoidPath(start=config.start, end=config.end, temperature=config.temperature)
