"""Configs of the networks of diffusion models: the MLP and the UNet."""

from typing import Literal

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import (
    Indices,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    Shape,
    TokenShape,
)
from artifex.generative_models.core.configuration.networks import Activation

# What the backward pass computes again instead of keeping it: nothing; all of a block; all but matrix products and
# convolutions.
Remat = Literal["none", "full", "dots"]
# Which kernel attention takes: the fastest that fits device, type and head size, or XLA's, which alone has
# forward-mode derivatives (MeanFlow, continuous consistency models, the likelihood of a network in bfloat16).
AttentionKernel = Literal["auto", "xla"]


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
        num_waves: sines of random directions that the network sees beside the example, for a density with edges.
        wave_frequency: standard deviation of their initial frequencies, in radians per unit of the example.
    """

    hidden_size: PositiveInt = 128
    num_layers: PositiveInt = 3
    activation: Activation = "silu"
    num_waves: NonNegativeInt = 0
    wave_frequency: PositiveFloat = 4.0


@config("unet")
class UNetConfig(DenoiserConfig):
    """Residual blocks on an image (channels, height, width) or a sequence (channels, length) at several sizes, each
    half of the one before; noise level and condition modulate every block. Sides must be divisible by 2^(levels - 1).

    Attributes:
        channels: channels of each level, from the full size on; the first number is even.
        num_blocks: residual blocks at each level on the way down; on the way up there is one more.
        attention_levels: levels whose blocks attend over all pixels, counted from 0, the full size.
        has_middle_attention: whether the middle, at the smallest size, attends too.
        num_heads: heads of each attention; divides the channels where there is attention.
        head_size: channels of each head, instead of their number.
        num_groups: groups of every norm; none: at most 8, of at least 4 channels.
        norm_epsilon: what a norm adds to the variance.
        has_scale: whether the embedding shifts and scales, after the norm (ADM), or is added before it (DDPM).
        has_longest_period: whether the noise level's features end at a period of 10,000, or one step before.
        pads_both_sides: whether convolutions to half the size see a border of zeros all around, or below and at
            the right alone.
        has_residual_resampling: whether residual blocks halve and double the size (ADM), or single convolutions.
        condition_tokens: (length, features): the condition begins with a sequence of tokens, row by row, to which
            every attention attends too; what comes after them modulates.
        attention: kernel of the attention on GPUs.
        remat: what the backward pass computes again, block by block.
    """

    channels: Shape = (32, 64, 64)
    num_blocks: PositiveInt = 2
    attention_levels: Indices = ()
    has_middle_attention: bool = True
    num_heads: PositiveInt = 4
    head_size: PositiveInt | None = None
    num_groups: PositiveInt | None = None
    norm_epsilon: PositiveFloat = 1e-5
    has_scale: bool = True
    has_longest_period: bool = False
    pads_both_sides: bool = True
    has_residual_resampling: bool = False
    condition_tokens: TokenShape | None = None
    attention: AttentionKernel = "auto"
    remat: Remat = "none"

    def __post_init__(self) -> None:
        if self.channels[0] % 2:
            raise ValueError(f"the first of `channels` must be even; got {self.channels[0]}")
        beyond = [level for level in self.attention_levels if level >= len(self.channels)]
        if beyond:
            raise ValueError(
                f"`attention_levels` must be below {len(self.channels)}, the number of `channels`; got {beyond}"
            )
        name = "num_heads" if self.head_size is None else "head_size"
        levels = {*self.attention_levels, *([len(self.channels) - 1] if self.has_middle_attention else [])}
        for width in (self.channels[level] for level in sorted(levels)):
            if width % getattr(self, name):
                raise ValueError(
                    f"`{name}` must divide the channels where there is attention; got {getattr(self, name)} and {width}"
                )
        if self.condition_tokens is not None and not levels:
            raise ValueError(
                "`condition_tokens` need attention, which alone sees them: set `attention_levels` or "
                "`has_middle_attention`"
            )
        if self.num_groups is not None and any(width % self.num_groups for width in self.channels):
            raise ValueError(
                f"`num_groups` must divide all `channels`; got {self.num_groups} and {self.channels}"
            )

    def num_heads_of(self, width: int) -> int:
        """Heads of an attention over `width` channels."""
        return self.num_heads if self.head_size is None else width // self.head_size
