"""Parts of the UNet: residual blocks that the embedding modulates, attention over pixels, and runs of them.

Source: Dhariwal & Nichol 2021 (ADM), arXiv:2105.05233, section 3. Deviations: the second convolution of a block and
the output of an attention start small, not at zero; resolutions change by convolutions alone.
"""

import itertools
from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import UNetConfig
from artifex.generative_models.models.backbones.convolution import Conv2d
from artifex.generative_models.models.backbones.layers import apply_linear, conv2d, group_norm, linear
from artifex.generative_models.models.backbones.stack import Stack

_SMALL = 0.1


def embedding_size(config: UNetConfig) -> int:
    """Length of the vector that modulates the blocks."""
    return 4 * config.channels[0]


def unet_norm(config: UNetConfig, channels: int) -> eqx.nn.GroupNorm:
    """The norm of a config."""
    num_groups = group_norm(channels).groups if config.num_groups is None else config.num_groups
    return eqx.nn.GroupNorm(num_groups, channels, eps=config.norm_epsilon)


class ModulatedResidualBlock(eqx.Module):
    """`skip(x) + conv(silu(norm(conv(silu(norm(x)))) (1 + scale) + shift))`, both affine in the embedding.

    Without scale, as in DDPM: `skip(x) + conv(silu(norm(conv(silu(norm(x))) + shift)))`.
    """

    norm1: eqx.nn.GroupNorm
    conv1: Conv2d
    modulation: eqx.nn.Linear
    norm2: eqx.nn.GroupNorm
    conv2: Conv2d
    skip: Conv2d | None
    has_scale: bool = eqx.field(static=True)

    def __init__(self, config: UNetConfig, in_channels: int, out_channels: int, *, key: Key[Array, ""]):
        """Random weights; the second convolution starts small, so the block is nearly `skip`."""
        conv1_key, modulation_key, conv2_key, skip_key = jax.random.split(key, 4)
        self.norm1 = unet_norm(config, in_channels)
        self.conv1 = conv2d(in_channels, out_channels, key=conv1_key)
        num_modulations = (2 if config.has_scale else 1) * out_channels
        self.modulation = linear(embedding_size(config), num_modulations, scale=_SMALL, key=modulation_key)
        self.norm2 = unet_norm(config, out_channels)
        self.conv2 = conv2d(out_channels, out_channels, scale=_SMALL, key=conv2_key)
        is_new_width = in_channels != out_channels
        self.skip = conv2d(in_channels, out_channels, kernel_size=1, key=skip_key) if is_new_width else None
        self.has_scale = config.has_scale

    def __call__(
        self, x: Float[Array, "in_channels h w"], embedding: Float[Array, " embedding_size"]
    ) -> Float[Array, "out_channels h w"]:
        """Apply the block to one grid."""
        h = self.conv1(jax.nn.silu(self.norm1(x)))
        modulation = apply_linear(self.modulation, embedding)[:, None, None]
        if self.has_scale:
            scale, shift = jnp.split(modulation, 2)
            h = self.norm2(h) * (1 + scale) + shift
        else:
            h = self.norm2(h + modulation)
        h = self.conv2(jax.nn.silu(h))
        return h + (x if self.skip is None else self.skip(x))


class PixelAttention(eqx.Module):
    """`x + out(attention(norm(x)))`: every pixel attends to every pixel."""

    norm: eqx.nn.GroupNorm
    qkv: eqx.nn.Linear
    out: eqx.nn.Linear
    num_heads: int = eqx.field(static=True)

    def __init__(self, config: UNetConfig, channels: int, *, key: Key[Array, ""]):
        """Random weights; the output starts small."""
        qkv_key, out_key = jax.random.split(key)
        self.norm = unet_norm(config, channels)
        self.qkv = linear(channels, 3 * channels, key=qkv_key)
        self.out = linear(channels, channels, scale=_SMALL, key=out_key)
        self.num_heads = config.num_heads_of(channels)

    def __call__(self, x: Float[Array, "channels h w"]) -> Float[Array, "channels h w"]:
        """Attend within one grid."""
        pixels = self.norm(x).reshape(x.shape[0], -1).T
        projected = apply_linear(self.qkv, pixels).reshape(len(pixels), 3, self.num_heads, -1)
        queries, keys, values = (projected[:, i] for i in range(3))
        mixed = jax.nn.dot_product_attention(queries, keys, values).reshape(pixels.shape)
        return x + apply_linear(self.out, mixed).T.reshape(x.shape)


class UNetBlock(eqx.Module):
    """A residual block, and attention after it where there is any."""

    residual: ModulatedResidualBlock
    attention: PixelAttention | None

    def __init__(
        self,
        config: UNetConfig,
        in_channels: int,
        out_channels: int,
        *,
        has_attention: bool,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            config: of the network.
            in_channels: channels of the input.
            out_channels: channels of the output.
            has_attention: whether attention follows.
            key: randomness of the weights.
        """
        residual_key, attention_key = jax.random.split(key)
        self.residual = ModulatedResidualBlock(config, in_channels, out_channels, key=residual_key)
        self.attention = PixelAttention(config, out_channels, key=attention_key) if has_attention else None

    def __call__(
        self, x: Float[Array, "in_channels h w"], embedding: Float[Array, " embedding_size"]
    ) -> Float[Array, "out_channels h w"]:
        """Apply the block to one grid."""
        h = self.residual(x, embedding)
        return h if self.attention is None else self.attention(h)


class UNetLevel(eqx.Module):
    """The blocks of one level on the way down or up; runs of equal ones are scanned."""

    runs: tuple[UNetBlock | Stack, ...]

    def __init__(
        self,
        config: UNetConfig,
        in_channels: Sequence[tuple[int, int]],
        out_channels: int,
        *,
        has_attention: bool,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            config: of the network.
            in_channels: for each block, channels of what comes from the block before and of the skip connection
                that joins it, 0 for none.
            out_channels: channels of every block's output.
            has_attention: whether attention follows each block.
            key: randomness of the weights.
        """
        runs = []
        for index, (widths, run) in enumerate(itertools.groupby(in_channels)):
            num, run_key = len(list(run)), jax.random.fold_in(key, index)

            def make(key: Key[Array, ""], width: int = sum(widths)) -> UNetBlock:
                return UNetBlock(config, width, out_channels, has_attention=has_attention, key=key)

            runs.append(make(run_key) if num == 1 else Stack(make, num, key=run_key))
        self.runs = tuple(runs)

    def down(
        self, h: Float[Array, "in_channels h w"], embedding: Float[Array, " embedding_size"]
    ) -> list[Float[Array, "out_channels h w"]]:
        """The outputs of all blocks, each the input of the next."""
        outputs = []
        for run in self.runs:
            if isinstance(run, Stack):
                h, several = run.scan(lambda block, h, _: (block(h, embedding),) * 2, h, None)
                outputs.extend(several)
            else:
                h = run(h, embedding)
                outputs.append(h)
        return outputs

    def up(
        self,
        h: Float[Array, "in_channels h w"],
        skips: list[Float[Array, "_ h w"]],
        embedding: Float[Array, " embedding_size"],
    ) -> Float[Array, "out_channels h w"]:
        """The last block's output, where the outputs of the way down join the blocks' inputs, the last one first."""
        skips = [*skips]
        for run in self.runs:
            if isinstance(run, Stack):
                joining = jnp.stack([skips.pop() for _ in range(run.num_layers)])
                h, _ = run.scan(
                    lambda block, h, skip: (block(jnp.concatenate([h, skip]), embedding), None), h, joining
                )
            else:
                h = run(jnp.concatenate([h, skips.pop()]), embedding)
        return h
