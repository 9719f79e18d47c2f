"""Parts of an autoencoder's networks: residual blocks, levels of them, and the middle with its attention."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import AutoencoderKLConfig, UNetConfig
from artifex.generative_models.models.backbones.convolution import Conv2d, GroupNorm
from artifex.generative_models.models.backbones.denoisers.unet_blocks import PixelAttention
from artifex.generative_models.models.backbones.layers import conv2d, group_norm
from artifex.generative_models.models.backbones.stack import Stack


def autoencoder_norm(config: AutoencoderKLConfig, channels: int) -> GroupNorm:
    """The norm of a config."""
    num_groups = group_norm(channels).groups if config.num_groups is None else config.num_groups
    return GroupNorm(num_groups, channels, eps=config.norm_epsilon)


class AutoencoderBlock(eqx.Module):
    """`skip(x) + conv(silu(norm(conv(silu(norm(x))))))`."""

    norm1: GroupNorm
    conv1: Conv2d
    norm2: GroupNorm
    conv2: Conv2d
    skip: Conv2d | None

    def __init__(
        self, config: AutoencoderKLConfig, in_channels: int, out_channels: int, *, key: Key[Array, ""]
    ):
        """Random weights."""
        conv1_key, conv2_key, skip_key = jax.random.split(key, 3)
        # Residual branches add up, so each starts smaller the more there are.
        scale = (len(config.channels) * (config.num_blocks + 1)) ** -0.5
        self.norm1 = autoencoder_norm(config, in_channels)
        self.conv1 = conv2d(in_channels, out_channels, key=conv1_key)
        self.norm2 = autoencoder_norm(config, out_channels)
        self.conv2 = conv2d(out_channels, out_channels, scale=scale, key=conv2_key)
        is_new_width = in_channels != out_channels
        self.skip = conv2d(in_channels, out_channels, kernel_size=1, key=skip_key) if is_new_width else None

    def __call__(self, x: Float[Array, "h w in_channels"]) -> Float[Array, "h w out_channels"]:
        """Apply the block to one grid."""
        h = self.conv1(jax.nn.silu(self.norm1(x)))
        h = self.conv2(jax.nn.silu(self.norm2(h)))
        return h + (x if self.skip is None else self.skip(x))


class AutoencoderLevel(eqx.Module):
    """The blocks of one level; those after the first, which are equal, are scanned."""

    first: AutoencoderBlock
    rest: Stack | None

    def __init__(
        self,
        config: AutoencoderKLConfig,
        in_channels: int,
        out_channels: int,
        num_blocks: int,
        *,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            config: of the networks.
            in_channels: channels of the first block's input.
            out_channels: channels of every block's output.
            num_blocks: how many blocks.
            key: randomness of the weights.
        """
        first_key, rest_key = jax.random.split(key)
        self.first = AutoencoderBlock(config, in_channels, out_channels, key=first_key)

        def make(key: Key[Array, ""]) -> AutoencoderBlock:
            return AutoencoderBlock(config, out_channels, out_channels, key=key)

        self.rest = Stack(make, num_blocks - 1, key=rest_key) if num_blocks > 1 else None

    def __call__(self, x: Float[Array, "h w in_channels"]) -> Float[Array, "h w out_channels"]:
        """Apply the blocks to one grid."""
        h = self.first(x)
        return h if self.rest is None else self.rest(h)


class AutoencoderMiddle(eqx.Module):
    """A block, attention where there is any, and another block, at the smallest size."""

    before: AutoencoderBlock
    attention: PixelAttention | None
    after: AutoencoderBlock

    def __init__(self, config: AutoencoderKLConfig, *, key: Key[Array, ""]):
        """Random weights."""
        before_key, attention_key, after_key = jax.random.split(key, 3)
        width = config.channels[-1]
        self.before = AutoencoderBlock(config, width, width, key=before_key)
        self.attention = (
            PixelAttention(_attention_config(config), width, key=attention_key)
            if config.has_middle_attention
            else None
        )
        self.after = AutoencoderBlock(config, width, width, key=after_key)

    def __call__(self, x: Float[Array, "h w channels"]) -> Float[Array, "h w channels"]:
        """Apply the middle to one grid."""
        h = self.before(x)
        return self.after(h if self.attention is None else self.attention(h))


def _attention_config(config: AutoencoderKLConfig) -> UNetConfig:
    """What attention takes from a UNet's config: one head, and the norm."""
    return UNetConfig(
        channels=(2 * config.channels[-1],),
        num_heads=1,
        num_groups=config.num_groups,
        norm_epsilon=config.norm_epsilon,
    )
