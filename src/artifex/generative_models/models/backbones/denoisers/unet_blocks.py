"""Parts of the UNet: residual blocks that the embedding modulates, and attention over pixels and condition tokens.

Sources: Dhariwal & Nichol 2021 (ADM), arXiv:2105.05233, section 3; attention to condition tokens: Rombach et al. 2022,
arXiv:2112.10752, section 3.3. Deviations: the second convolution of a block and the outputs of attention start small,
not at zero; attention to tokens comes after that to pixels with a norm and a residual connection of its own, without
the MLP of the latent-diffusion block.
"""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import AttentionKernel, UNetConfig
from artifex.generative_models.models.backbones.attention import CrossAttention, attend, split_heads
from artifex.generative_models.models.backbones.convolution import Conv2d, GroupNorm
from artifex.generative_models.models.backbones.layers import apply_linear, conv2d, group_norm, linear

_SMALL = 0.1
Resampling = Literal["none", "halved", "doubled"]


def embedding_size(config: UNetConfig) -> int:
    """Length of the vector that modulates the blocks."""
    return 4 * config.channels[0]


def unet_norm(config: UNetConfig, channels: int) -> GroupNorm:
    """The norm of a config."""
    num_groups = group_norm(channels).groups if config.num_groups is None else config.num_groups
    return GroupNorm(num_groups, channels, eps=config.norm_epsilon)


def kernel_size(num_axes: int) -> tuple[int, int]:
    """Of 3 along each axis: 2 for images, 1 for sequences, which are images of one row."""
    return (3, 3) if num_axes == 2 else (1, 3)


def doubled(x: Float[Array, "h w channels"], num_axes: int) -> Float[Array, "two_h two_w channels"]:
    """Each pixel twice along each axis."""
    wide = jnp.repeat(x, 2, axis=1)
    return wide if num_axes == 1 else jnp.repeat(wide, 2, axis=0)


def halved(x: Float[Array, "two_h two_w channels"], num_axes: int) -> Float[Array, "h w channels"]:
    """Means over pairs of pixels along each axis."""
    height, width, channels = x.shape
    if num_axes == 1:
        return jnp.mean(x.reshape(height, width // 2, 2, channels), axis=2)
    return jnp.mean(x.reshape(height // 2, 2, width // 2, 2, channels), axis=(1, 3))


class ModulatedResidualBlock(eqx.Module):
    """`skip(x) + conv(silu(norm(conv(silu(norm(x)))) (1 + scale) + shift))`, both affine in the embedding.

    Without scale, as in DDPM: `skip(x) + conv(silu(norm(conv(silu(norm(x))) + shift)))`. A block that changes the size
    does so to `silu(norm(x))` and to `x`, by means over, or copies of, pixels.
    """

    norm1: GroupNorm
    conv1: Conv2d
    modulation: eqx.nn.Linear
    norm2: GroupNorm
    conv2: Conv2d
    skip: Conv2d | None
    has_scale: bool = eqx.field(static=True)
    num_axes: int = eqx.field(static=True)
    resampling: Resampling = eqx.field(static=True)

    def __init__(
        self,
        config: UNetConfig,
        in_channels: int,
        out_channels: int,
        *,
        num_axes: int,
        resampling: Resampling = "none",
        key: Key[Array, ""],
    ):
        """Random weights; the second convolution starts small, so the block is nearly `skip`.

        Args:
            config: of the network.
            in_channels: channels of the input.
            out_channels: channels of the output.
            num_axes: 2 for images, 1 for sequences.
            resampling: whether the output has half or twice the size.
            key: randomness of the weights.
        """
        conv1_key, modulation_key, conv2_key, skip_key = jax.random.split(key, 4)
        self.norm1 = unet_norm(config, in_channels)
        kernel = kernel_size(num_axes)
        self.conv1 = conv2d(in_channels, out_channels, kernel_size=kernel, key=conv1_key)
        num_modulations = (2 if config.has_scale else 1) * out_channels
        self.modulation = linear(embedding_size(config), num_modulations, scale=_SMALL, key=modulation_key)
        self.norm2 = unet_norm(config, out_channels)
        self.conv2 = conv2d(out_channels, out_channels, kernel_size=kernel, scale=_SMALL, key=conv2_key)
        is_new_width = in_channels != out_channels
        self.skip = conv2d(in_channels, out_channels, kernel_size=1, key=skip_key) if is_new_width else None
        self.has_scale = config.has_scale
        self.num_axes = num_axes
        self.resampling = resampling

    def __call__(
        self, x: Float[Array, "h w in_channels"], embedding: Float[Array, " embedding_size"]
    ) -> Float[Array, "new_h new_w out_channels"]:
        """Apply the block to one grid."""
        h = jax.nn.silu(self.norm1(x))
        if self.resampling != "none":
            resample = halved if self.resampling == "halved" else doubled
            h, x = resample(h, self.num_axes), resample(x, self.num_axes)
        h = self.conv1(h)
        modulation = apply_linear(self.modulation, embedding)[None, None]
        if self.has_scale:
            scale, shift = jnp.split(modulation, 2, axis=2)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + modulation)
        h = self.conv2(jax.nn.silu(h))
        return h + (x if self.skip is None else self.skip(x))


class PixelAttention(eqx.Module):
    """`x + out(attention(norm(x)))`: every pixel attends to every pixel."""

    norm: GroupNorm
    qkv: eqx.nn.Linear
    out: eqx.nn.Linear
    num_heads: int = eqx.field(static=True)
    kernel: AttentionKernel = eqx.field(static=True)

    def __init__(self, config: UNetConfig, channels: int, *, key: Key[Array, ""]):
        """Random weights; the output starts small."""
        qkv_key, out_key = jax.random.split(key)
        self.norm = unet_norm(config, channels)
        self.qkv = linear(channels, 3 * channels, key=qkv_key)
        self.out = linear(channels, channels, scale=_SMALL, key=out_key)
        self.num_heads = config.num_heads_of(channels)
        self.kernel = config.attention

    def __call__(self, x: Float[Array, "h w channels"]) -> Float[Array, "h w channels"]:
        """Attend within one grid."""
        pixels = self.norm(x).reshape(-1, x.shape[2])
        queries, keys, values = split_heads(apply_linear(self.qkv, pixels), 3, self.num_heads)
        mixed = attend(queries, keys, values, kernel=self.kernel).reshape(pixels.shape)
        return x + apply_linear(self.out, mixed).reshape(x.shape)


class PixelCrossAttention(eqx.Module):
    """`x + attention(norm(x); tokens)`: every pixel attends to every condition token."""

    norm: GroupNorm
    attention: CrossAttention

    def __init__(self, config: UNetConfig, channels: int, token_size: int, *, key: Key[Array, ""]):
        """Random weights; the output starts small."""
        self.norm = unet_norm(config, channels)
        self.attention = CrossAttention(
            channels,
            token_size,
            config.num_heads_of(channels),
            kernel=config.attention,
            out_scale=_SMALL,
            key=key,
        )

    def __call__(
        self, x: Float[Array, "h w channels"], tokens: Float[Array, "length features"]
    ) -> Float[Array, "h w channels"]:
        """Attend from one grid to the tokens."""
        pixels = self.norm(x).reshape(-1, x.shape[2])
        return x + self.attention(pixels, tokens).reshape(x.shape)


class UNetBlock(eqx.Module):
    """A residual block, and attention after it where there is any: to pixels, then to condition tokens."""

    residual: ModulatedResidualBlock
    attention: PixelAttention | None
    cross: PixelCrossAttention | None

    def __init__(
        self,
        config: UNetConfig,
        in_channels: int,
        out_channels: int,
        *,
        num_axes: int,
        has_attention: bool,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            config: of the network.
            in_channels: channels of the input.
            out_channels: channels of the output.
            num_axes: 2 for images, 1 for sequences.
            has_attention: whether attention follows.
            key: randomness of the weights.
        """
        residual_key, attention_key, cross_key = jax.random.split(key, 3)
        self.residual = ModulatedResidualBlock(
            config, in_channels, out_channels, num_axes=num_axes, key=residual_key
        )
        self.attention = PixelAttention(config, out_channels, key=attention_key) if has_attention else None
        self.cross = None
        if has_attention and config.condition_tokens is not None:
            self.cross = PixelCrossAttention(config, out_channels, config.condition_tokens[1], key=cross_key)

    def __call__(
        self,
        x: Float[Array, "h w in_channels"],
        embedding: Float[Array, " embedding_size"],
        tokens: Float[Array, "length features"] | None,
    ) -> Float[Array, "h w out_channels"]:
        """Apply the block to one grid."""
        h = self.residual(x, embedding)
        h = h if self.attention is None else self.attention(h)
        return h if self.cross is None or tokens is None else self.cross(h, tokens)
