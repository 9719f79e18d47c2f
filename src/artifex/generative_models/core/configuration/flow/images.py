"""Configs of the layers of normalizing flows on images, channels first."""

from typing import Literal

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.fields import NonNegativeInt, PositiveInt
from artifex.generative_models.core.configuration.flow.bijections import BijectionConfig
from artifex.generative_models.core.configuration.flow.structured import ReshapeConfig
from artifex.generative_models.core.configuration.flow.transformers import (
    AffineTransformerConfig,
    ScalarTransformerConfig,
)
from artifex.generative_models.core.configuration.networks import Activation


@config("squeeze")
class SqueezeConfig(BijectionConfig):
    """Blocks of 2x2 pixels become four channels, on the way from latent to data."""


@config("unsqueeze")
class UnsqueezeConfig(BijectionConfig):
    """Four channels become blocks of 2x2 pixels; from data to latent, blocks become channels."""


@config("conv_1x1")
class Conv1x1Config(BijectionConfig):
    """A trained matrix between the channels of each pixel, by its LU decomposition, at first a rotation."""


@config("image_coupling")
class ImageCouplingConfig(BijectionConfig):
    """Some entries of an image are mapped one by one, with parameters that convolutions make of the others.

    At first all parameters are 0. Where the map of an entry has an iterative inverse, `inverse` of this layer has
    the cheap direction from data to latent.

    Attributes:
        mask: which entries are mapped: the first or the last half of the channels, or the pixels at even or odd
            places of a checkerboard.
        transformer: what is done with each of them.
        hidden_channels: width of the network.
        num_blocks: its residual blocks; 0: one convolution, which takes no condition.
        activation: its nonlinearity.
        condition_channels: the condition vector begins with an image of so many channels and the size of the
            example, which the network sees beside it; the rest of the vector shifts and scales hidden channels.
    """

    mask: Literal["first", "last", "even", "odd"] = "last"
    transformer: ScalarTransformerConfig = AffineTransformerConfig()
    hidden_channels: PositiveInt = 64
    num_blocks: NonNegativeInt = 1
    activation: Activation = "silu"
    condition_channels: NonNegativeInt = 0

    def __post_init__(self) -> None:
        if self.num_blocks == 0 and self.condition_channels:
            raise ValueError(
                "`condition_channels` needs a network with residual blocks, `num_blocks` at least 1; got 0 blocks and "
                f"{self.condition_channels} channels"
            )


@config("split")
class SplitConfig(BijectionConfig):
    """Half of the channels are latents, the other half go on to coarser scales.

    Attributes:
        rest: from the second half of the vector of latents to the second half of the channels; it begins with
            `reshape`, or with a `split` of its own.
    """

    rest: BijectionConfig = ReshapeConfig(shape=(1, 2, 2))
