"""Configs of the networks of diffusion models."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import PositiveInt
from artifex.generative_models.core.configuration.networks import Activation


@config()
class DenoiserConfig(Config):
    """Network from a noisy example, its noise level and a condition to a prediction of the example's shape."""


@config("mlp")
class MLPDenoiserConfig(DenoiserConfig):
    """Residual MLP on the flattened example; noise level and condition shift and scale every layer.

    Attributes:
        hidden_size: width.
        num_layers: residual blocks.
        activation: nonlinearity.
    """

    hidden_size: PositiveInt = 128
    num_layers: PositiveInt = 3
    activation: Activation = "silu"
