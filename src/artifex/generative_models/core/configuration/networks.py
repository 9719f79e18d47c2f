"""Configs of the networks that model families share: encoders to a vector, decoders from one."""

from typing import Literal

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import PositiveInt, Shape, Sizes

Activation = Literal["elu", "gelu", "leaky_relu", "relu", "silu", "softplus", "tanh"]


@config()
class EncoderConfig(Config):
    """A network from one example, and maybe a condition, to a vector."""


@config()
class DecoderConfig(Config):
    """A network from a vector, and maybe a condition, to the shape of an example."""


@config("mlp")
class MLPEncoderConfig(EncoderConfig):
    """Fully connected layers on the flattened example.

    Attributes:
        hidden_sizes: widths of the hidden layers, from the input on; empty: one affine map.
        activation: nonlinearity after each hidden layer.
    """

    hidden_sizes: Sizes = (512, 256)
    activation: Activation = "gelu"


@config("mlp")
class MLPDecoderConfig(DecoderConfig):
    """Fully connected layers to the flattened example.

    Attributes:
        hidden_sizes: widths of the hidden layers, from the latents on; empty: one affine map.
        activation: nonlinearity after each hidden layer.
    """

    hidden_sizes: Sizes = (256, 512)
    activation: Activation = "gelu"


@config("conv")
class ConvEncoderConfig(EncoderConfig):
    """Convolutions with residual blocks, for images. Each level halves height and width, rounding up.

    Attributes:
        channels: channels of each level, from the image on; 28x28 with two levels ends at 7x7.
        num_blocks: residual blocks at each level.
        activation: nonlinearity.
    """

    channels: Shape = (32, 64)
    num_blocks: PositiveInt = 1
    activation: Activation = "silu"


@config("conv")
class ConvDecoderConfig(DecoderConfig):
    """Convolutions with residual blocks, for images. Each level doubles height and width, to the exact size.

    Attributes:
        channels: channels of each level, from the latents on: the reverse of the encoder's.
        num_blocks: residual blocks at each level.
        activation: nonlinearity.
    """

    channels: Shape = (64, 32)
    num_blocks: PositiveInt = 1
    activation: Activation = "silu"
