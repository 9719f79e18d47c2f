"""Weights of the squared error at a time.

The loss compares what the network puts out, y = a data + b noise. With x_t given, an error e in the data comes with
-(alpha / sigma) e in the noise, so with d = alpha b - sigma a the error of y is -(d / sigma) e, and a weight w on the
squared error of the data is w (sigma / d)^2 on that of y. For a predicted noise this is w / SNR.
"""

from functools import singledispatch

import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import (
    ConstantWeightingConfig,
    MinSNRWeightingConfig,
    P2WeightingConfig,
    SNRWeightingConfig,
    WeightingConfig,
)
from artifex.generative_models.models.diffusion.paths import AbstractPath
from artifex.generative_models.models.diffusion.predictions import AbstractPrediction

Scalar = Float[Array, ""]


@singledispatch
def weight(config: WeightingConfig, path: AbstractPath, prediction: AbstractPrediction, t: Scalar) -> Scalar:
    """Factor of the squared error of the network's output at time `t`."""
    raise LookupError(f"no weighting is registered for {type(config).__name__}; use @weight.register")


@weight.register
def _(
    config: ConstantWeightingConfig, path: AbstractPath, prediction: AbstractPrediction, t: Scalar
) -> Scalar:
    return jnp.ones_like(t)


@weight.register
def _(config: SNRWeightingConfig, path: AbstractPath, prediction: AbstractPrediction, t: Scalar) -> Scalar:
    return _per_snr(path, prediction, t)


@weight.register
def _(config: MinSNRWeightingConfig, path: AbstractPath, prediction: AbstractPrediction, t: Scalar) -> Scalar:
    return _per_snr(path, prediction, t) * jnp.minimum(1.0, config.gamma * jnp.exp(-path.log_snr(t)))


@weight.register
def _(config: P2WeightingConfig, path: AbstractPath, prediction: AbstractPrediction, t: Scalar) -> Scalar:
    return _per_snr(path, prediction, t) * (config.k + jnp.exp(path.log_snr(t))) ** -config.gamma


def _per_snr(path: AbstractPath, prediction: AbstractPrediction, t: Scalar) -> Scalar:
    """SNR (sigma / d)^2 = (alpha / d)^2, what is left of the conversion when the weight is a multiple of SNR."""
    alpha, sigma = path.alpha(t), path.sigma(t)
    a, b = prediction.weights(path, t)
    determinant = alpha * b - sigma * a
    return (alpha / jnp.where(determinant == 0, 1.0, determinant)) ** 2  # 0 only where alpha is 0 too
