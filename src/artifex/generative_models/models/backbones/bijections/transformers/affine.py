"""Straight lines."""

import equinox as eqx
import jax.numpy as jnp

from artifex.generative_models.core.configuration import AdditiveTransformerConfig, AffineTransformerConfig
from artifex.generative_models.models.backbones.bijections.transformers.base import (
    AbstractTransformer,
    Parameters,
    Scalar,
    make_transformer,
)


class AffineTransformer(AbstractTransformer):
    """y = exp(s) x + b, parameters (b, s); |s| stays below a bound m, as s = m tanh(theta / m).

    Source: Dinh et al. 2017 (RealNVP), arXiv:1605.08803, equation 7; the bound is ours.
    """

    max_log_scale: float = eqx.field(static=True)

    def __init__(self, config: AffineTransformerConfig):
        """Build it."""
        self.max_log_scale = config.max_log_scale

    @property
    def num_parameters(self) -> int:
        """Shift and log-scale."""
        return 2

    def forward_and_log_derivative(self, x: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """Y and log dy/dx."""
        log_scale = soft_bound(parameters[1], self.max_log_scale)
        return jnp.exp(log_scale) * x + parameters[0], log_scale

    def inverse_and_log_derivative(self, y: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """X and log dx/dy."""
        log_scale = soft_bound(parameters[1], self.max_log_scale)
        return jnp.exp(-log_scale) * (y - parameters[0]), -log_scale


class AdditiveTransformer(AbstractTransformer):
    """y = x + b. Source: Dinh et al. 2015 (NICE), arXiv:1410.8516, section 3.2."""

    def __init__(self) -> None:
        """Build it."""

    @property
    def num_parameters(self) -> int:
        """The shift."""
        return 1

    def forward_and_log_derivative(self, x: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """Y and 0."""
        return x + parameters[0], jnp.zeros_like(x)

    def inverse_and_log_derivative(self, y: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """X and 0."""
        return y - parameters[0], jnp.zeros_like(y)


def soft_bound(value: Parameters | Scalar, bound: float) -> Parameters | Scalar:
    """Numbers in (-bound, bound); small ones are nearly unchanged."""
    return bound * jnp.tanh(value / bound)


@make_transformer.register
def _(config: AffineTransformerConfig) -> AbstractTransformer:
    return AffineTransformer(config)


@make_transformer.register
def _(config: AdditiveTransformerConfig) -> AbstractTransformer:
    return AdditiveTransformer()
