"""Configs of the networks of diffusion models."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import Indices, PositiveFloat, PositiveInt, Shape
from artifex.generative_models.core.configuration.networks import Activation
from artifex.utils.messages import unknown_name


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


@config("unet")
class UNetConfig(DenoiserConfig):
    """Residual blocks on an image at several sizes, each half of the one before; noise level and condition modulate
    every block. Sides of the image must be divisible by 2^(levels - 1).

    Attributes:
        channels: channels of each level, from the image's size on; the first number is even.
        num_blocks: residual blocks at each level on the way down; on the way up there is one more.
        attention_levels: levels whose blocks attend over all pixels, counted from 0, the image's size.
        has_middle_attention: whether the middle, at the smallest size, attends too.
        num_heads: heads of each attention; divides the channels where there is attention.
        head_size: channels of each head, instead of their number.
        num_groups: groups of every norm; none: at most 8, of at least 4 channels.
        norm_epsilon: what a norm adds to the variance.
        has_scale: whether the embedding shifts and scales, after the norm (ADM), or is added before it (DDPM).
        has_longest_period: whether the noise level's features end at a period of 10,000, or one step before.
        pads_both_sides: whether convolutions to half the size see a border of zeros all around, or below and at
            the right alone.
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
        if self.num_groups is not None and any(width % self.num_groups for width in self.channels):
            raise ValueError(
                f"`num_groups` must divide all `channels`; got {self.num_groups} and {self.channels}"
            )

    def num_heads_of(self, width: int) -> int:
        """Heads of an attention over `width` channels."""
        return self.num_heads if self.head_size is None else width // self.head_size


@config("dit")
class DiTConfig(DenoiserConfig):
    """Transformer on the patches of an image; noise level and condition modulate every block (adaLN-Zero).

    Sides of the image must be divisible by the patch size.

    Attributes:
        patch_size: side of a patch, in pixels.
        hidden_size: width, a multiple of 4 and of `num_heads`.
        num_layers: transformer blocks.
        num_heads: attention heads of each.
        mlp_ratio: width of each block's MLP, in units of `hidden_size`.
    """

    patch_size: PositiveInt = 2
    hidden_size: PositiveInt = 384
    num_layers: PositiveInt = 12
    num_heads: PositiveInt = 6
    mlp_ratio: PositiveInt = 4

    def __post_init__(self) -> None:
        if self.hidden_size % 4 or self.hidden_size % self.num_heads:
            raise ValueError(
                "`hidden_size` must be divisible by 4 (sines and cosines of rows and columns) and by `num_heads`; got "
                f"{self.hidden_size} and {self.num_heads} heads"
            )


_DIT_SIZES = {"S": (384, 12, 6), "B": (768, 12, 12), "L": (1024, 24, 16), "XL": (1152, 28, 16)}


def dit_size(size: str, *, patch_size: int = 2) -> DiTConfig:
    """A DiT of one of the published sizes; `dit_size("XL", patch_size=2)` is DiT-XL/2.

    Args:
        size: "S" (33 million parameters), "B" (130), "L" (458) or "XL" (675).
        patch_size: side of a patch, 2, 4 or 8 in the paper.

    Source: Peebles & Xie 2023, arXiv:2212.09748, table 1.
    """
    if size not in _DIT_SIZES:
        raise ValueError(unknown_name("size of a DiT", size, _DIT_SIZES))
    hidden_size, num_layers, num_heads = _DIT_SIZES[size]
    return DiTConfig(
        patch_size=patch_size, hidden_size=hidden_size, num_layers=num_layers, num_heads=num_heads
    )
