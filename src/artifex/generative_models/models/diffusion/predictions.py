"""What a network predicts at (x_t, t), and how it becomes an estimate of data and noise.

Every kind is a linear combination y = a data + b noise, with a and b depending on time. Together with
x_t = alpha data + sigma noise these are two equations for two unknowns:

    data  = (b x_t - sigma y) / d,    noise = (alpha y - a x_t) / d,    d = alpha b - sigma a.

d is alpha for a predicted noise, so nothing can be said of the data where alpha is 0; it is 1 for v, at all times.
Where d vanishes it is replaced by a small number, so that results stay finite.
"""

import abc
from functools import singledispatch

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import (
    DataPredictionConfig,
    EDMPredictionConfig,
    NoisePredictionConfig,
    PredictionConfig,
    ScorePredictionConfig,
    VelocityPredictionConfig,
    VPredictionConfig,
)
from artifex.generative_models.core.sampling import Estimate
from artifex.generative_models.models.diffusion.paths import AbstractPath

Scalar = Float[Array, ""]
Example = Float[Array, "..."]

_LEAST = 1e-5  # of |d|, relative to the sizes of its terms


class AbstractPrediction(eqx.Module):
    """A kind of output, for one example at one time."""

    @abc.abstractmethod
    def weights(self, path: AbstractPath, t: Scalar) -> tuple[Scalar, Scalar]:
        """(a, b) of y = a data + b noise."""

    @abc.abstractmethod
    def input_scale(self, path: AbstractPath, t: Scalar) -> Scalar:
        """Factor of x_t at the network's input."""

    def target(self, path: AbstractPath, data: Example, noise: Example, t: Scalar) -> Example:
        """What the output should be, given the truth."""
        a, b = self.weights(path, t)
        return a * data + b * noise

    def estimate(self, path: AbstractPath, output: Example, x: Example, t: Scalar) -> Estimate:
        """Data and noise from the network's output at `x`."""
        a, b = self.weights(path, t)
        alpha, sigma = path.alpha(t), path.sigma(t)
        determinant = alpha * b - sigma * a
        least = _LEAST * jnp.hypot(alpha, sigma) * jnp.hypot(a, b)
        sign = jnp.where(determinant < 0, -1.0, 1.0)
        inverse = sign / jnp.maximum(jnp.abs(determinant), least)
        return Estimate(
            data=(b * inverse) * x - (sigma * inverse) * output,
            noise=(alpha * inverse) * output - (a * inverse) * x,
        )

    def output(self, path: AbstractPath, estimate: Estimate, t: Scalar) -> Example:
        """The output that an estimate amounts to: the inverse of `estimate`."""
        return self.target(path, estimate.data, estimate.noise, t)


class NoisePrediction(AbstractPrediction):
    """y = noise."""

    def weights(self, path: AbstractPath, t: Scalar) -> tuple[Scalar, Scalar]:
        """(0, 1)."""
        return jnp.zeros_like(t), jnp.ones_like(t)

    def input_scale(self, path: AbstractPath, t: Scalar) -> Scalar:
        """One."""
        return jnp.ones_like(t)


class DataPrediction(AbstractPrediction):
    """y = data."""

    def weights(self, path: AbstractPath, t: Scalar) -> tuple[Scalar, Scalar]:
        """(1, 0)."""
        return jnp.ones_like(t), jnp.zeros_like(t)

    def input_scale(self, path: AbstractPath, t: Scalar) -> Scalar:
        """One."""
        return jnp.ones_like(t)


class VPrediction(AbstractPrediction):
    """y = (alpha noise - sigma data) / sqrt(alpha^2 + sigma^2); the root is 1 on variance-preserving paths."""

    def weights(self, path: AbstractPath, t: Scalar) -> tuple[Scalar, Scalar]:
        """(-sigma, alpha), normalised."""
        alpha, sigma = path.alpha(t), path.sigma(t)
        radius = jnp.hypot(alpha, sigma)
        return -sigma / radius, alpha / radius

    def input_scale(self, path: AbstractPath, t: Scalar) -> Scalar:
        """One."""
        return jnp.ones_like(t)


class ScorePrediction(AbstractPrediction):
    """y = -noise / sigma."""

    def weights(self, path: AbstractPath, t: Scalar) -> tuple[Scalar, Scalar]:
        """(0, -1 / sigma), with sigma no less than float32 can tell from 0 beside alpha."""
        sigma = jnp.maximum(path.sigma(t), 1e-6 * path.alpha(t))
        return jnp.zeros_like(t), -1.0 / sigma

    def input_scale(self, path: AbstractPath, t: Scalar) -> Scalar:
        """One."""
        return jnp.ones_like(t)


class VelocityPrediction(AbstractPrediction):
    """y = alpha' data + sigma' noise."""

    def weights(self, path: AbstractPath, t: Scalar) -> tuple[Scalar, Scalar]:
        """(alpha', sigma')."""
        return path.derivatives(t)

    def input_scale(self, path: AbstractPath, t: Scalar) -> Scalar:
        """One."""
        return jnp.ones_like(t)


class EDMPrediction(AbstractPrediction):
    """y = F of data = c_skip x + c_out F, with x on the scale alpha = 1 and s = sigma / alpha:

    c_skip = s_d^2 / (s^2 + s_d^2),   c_out = s s_d / sqrt(s^2 + s_d^2),   c_in = 1 / sqrt(s^2 + s_d^2),

    so that input and target have unit variance at all times (Karras et al. 2022, table 1).
    """

    sigma_data: float = eqx.field(static=True)

    def weights(self, path: AbstractPath, t: Scalar) -> tuple[Scalar, Scalar]:
        """F = (data - c_skip x) / c_out = (s / s_d data - s_d noise) / sqrt(s^2 + s_d^2)."""
        alpha, sigma = path.alpha(t), path.sigma(t)
        radius = jnp.hypot(sigma, alpha * self.sigma_data)
        return sigma / (self.sigma_data * radius), -alpha * self.sigma_data / radius

    def input_scale(self, path: AbstractPath, t: Scalar) -> Scalar:
        """1 / sqrt(sigma^2 + alpha^2 s_d^2), one over the standard deviation of x_t."""
        return 1.0 / jnp.hypot(path.sigma(t), path.alpha(t) * self.sigma_data)


@singledispatch
def make_prediction(config: PredictionConfig) -> AbstractPrediction:
    """The kind of prediction that a config describes."""
    raise LookupError(
        f"no prediction is registered for {type(config).__name__}; use @make_prediction.register"
    )


@make_prediction.register
def _(config: NoisePredictionConfig) -> AbstractPrediction:
    return NoisePrediction()


@make_prediction.register
def _(config: DataPredictionConfig) -> AbstractPrediction:
    return DataPrediction()


@make_prediction.register
def _(config: VPredictionConfig) -> AbstractPrediction:
    return VPrediction()


@make_prediction.register
def _(config: ScorePredictionConfig) -> AbstractPrediction:
    return ScorePrediction()


@make_prediction.register
def _(config: VelocityPredictionConfig) -> AbstractPrediction:
    return VelocityPrediction()


@make_prediction.register
def _(config: EDMPredictionConfig) -> AbstractPrediction:
    return EDMPrediction(config.sigma_data)
