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

from artifex.generative_models.models.backbones.convolution import Conv2d
from artifex.generative_models.models.backbones.layers import apply_linear, conv2d, group_norm, linear
from artifex.generative_models.models.backbones.stack import Stack

_SMALL = 0.1


class ModulatedResidualBlock(eqx.Module):
    """`skip(x) + conv(silu(norm(conv(silu(norm(x)))) (1 + scale) + shift))`, both affine in the embedding."""

    norm1: eqx.nn.GroupNorm
    conv1: Conv2d
    modulation: eqx.nn.Linear
    norm2: eqx.nn.GroupNorm
    conv2: Conv2d
    skip: Conv2d | None

    def __init__(self, in_channels: int, out_channels: int, *, embedding_size: int, key: Key[Array, ""]):
        """Random weights; the second convolution starts small, so the block is nearly `skip`."""
        conv1_key, modulation_key, conv2_key, skip_key = jax.random.split(key, 4)
        self.norm1 = group_norm(in_channels)
        self.conv1 = conv2d(in_channels, out_channels, key=conv1_key)
        self.modulation = linear(embedding_size, 2 * out_channels, scale=_SMALL, key=modulation_key)
        self.norm2 = group_norm(out_channels)
        self.conv2 = conv2d(out_channels, out_channels, scale=_SMALL, key=conv2_key)
        is_new_width = in_channels != out_channels
        self.skip = conv2d(in_channels, out_channels, kernel_size=1, key=skip_key) if is_new_width else None

    def __call__(
        self, x: Float[Array, "in_channels h w"], embedding: Float[Array, " embedding_size"]
    ) -> Float[Array, "out_channels h w"]:
        """Apply the block to one grid."""
        h = self.norm2(self.conv1(jax.nn.silu(self.norm1(x))))
        scale, shift = jnp.split(apply_linear(self.modulation, embedding)[:, None, None], 2)
        h = self.conv2(jax.nn.silu(h * (1 + scale) + shift))
        return h + (x if self.skip is None else self.skip(x))


class PixelAttention(eqx.Module):
    """`x + out(attention(norm(x)))`: every pixel attends to every pixel."""

    norm: eqx.nn.GroupNorm
    qkv: eqx.nn.Linear
    out: eqx.nn.Linear
    num_heads: int = eqx.field(static=True)

    def __init__(self, channels: int, num_heads: int, *, key: Key[Array, ""]):
        """Random weights; the output starts small."""
        qkv_key, out_key = jax.random.split(key)
        self.norm = group_norm(channels)
        self.qkv = linear(channels, 3 * channels, key=qkv_key)
        self.out = linear(channels, channels, scale=_SMALL, key=out_key)
        self.num_heads = num_heads

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
        in_channels: int,
        out_channels: int,
        *,
        embedding_size: int,
        num_heads: int | None,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            in_channels: channels of the input.
            out_channels: channels of the output.
            embedding_size: length of the vector that modulates the block.
            num_heads: heads of the attention; None: no attention.
            key: randomness of the weights.
        """
        residual_key, attention_key = jax.random.split(key)
        self.residual = ModulatedResidualBlock(
            in_channels, out_channels, embedding_size=embedding_size, key=residual_key
        )
        self.attention = (
            None if num_heads is None else PixelAttention(out_channels, num_heads, key=attention_key)
        )

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
        in_channels: Sequence[tuple[int, int]],
        out_channels: int,
        *,
        embedding_size: int,
        num_heads: int | None,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            in_channels: for each block, channels of what comes from the block before and of the skip connection
                that joins it, 0 for none.
            out_channels: channels of every block's output.
            embedding_size: length of the vector that modulates the blocks.
            num_heads: heads of the attention after each block; None: no attention.
            key: randomness of the weights.
        """
        runs = []
        for index, (widths, run) in enumerate(itertools.groupby(in_channels)):
            num, run_key = len(list(run)), jax.random.fold_in(key, index)

            def make(key: Key[Array, ""], width: int = sum(widths)) -> UNetBlock:
                return UNetBlock(
                    width, out_channels, embedding_size=embedding_size, num_heads=num_heads, key=key
                )

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
