"""U-ViT: noise level, condition and patches are all tokens of one transformer, whose halves are joined as a UNet's.

    h <- skip_linear([h, skip])           in the second half; skip: output of the mirrored block of the first half
    h <- h + attention(norm(h))
    h <- h + mlp(norm(h))

A condition that is a vector is one token, condition tokens are as many, and what comes after those is one more. Every
token has a learned position. A convolution after the last layer smooths the seams of the patches.

Source: Bao et al. 2023, arXiv:2209.12152, sections 3 and 3.1. Deviations: LeCun-normal instead of weights of a fixed
size; the last convolution starts small, as that of the UNet here.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import AttentionKernel, UViTConfig
from artifex.generative_models.models.backbones.attention import attend, split_heads
from artifex.generative_models.models.backbones.conditions import (
    check_condition_vector,
    rest_size,
    split_condition,
)
from artifex.generative_models.models.backbones.convolution import Conv2d, channels_first, channels_last
from artifex.generative_models.models.backbones.denoisers.base import AbstractDenoiserNetwork, make_denoiser
from artifex.generative_models.models.backbones.denoisers.patches import (
    check_event_shape,
    from_patches,
    grid_of,
    to_patches,
)
from artifex.generative_models.models.backbones.dtypes import output_dtype
from artifex.generative_models.models.backbones.layers import apply_linear, conv2d, linear
from artifex.generative_models.models.backbones.noise_levels import sinusoidal_features
from artifex.generative_models.models.backbones.remat import rematerialized
from artifex.generative_models.models.backbones.stack import Stack
from artifex.generative_models.models.backbones.weights import normal_weights

_POSITION_SCALE = 0.02
_SMALL = 0.1


class UViTBlock(eqx.Module):
    """Attention and an MLP, each on a normalised input, each added to it; maybe joined to another block before."""

    skip: eqx.nn.Linear | None
    norm1: eqx.nn.LayerNorm
    qkv: eqx.nn.Linear
    project: eqx.nn.Linear
    norm2: eqx.nn.LayerNorm
    expand: eqx.nn.Linear
    contract: eqx.nn.Linear
    num_heads: int = eqx.field(static=True)
    kernel: AttentionKernel = eqx.field(static=True)

    def __init__(self, config: UViTConfig, *, has_skip: bool, key: Key[Array, ""]):
        """Random weights.

        Args:
            config: of the network.
            has_skip: whether another block's output joins.
            key: randomness of the weights.
        """
        keys = jax.random.split(key, 5)
        size = config.hidden_size
        self.skip = linear(2 * size, size, key=keys[4]) if has_skip else None
        self.norm1 = eqx.nn.LayerNorm(size)
        self.qkv = linear(size, 3 * size, use_bias=False, key=keys[0])
        self.project = linear(size, size, key=keys[1])
        self.norm2 = eqx.nn.LayerNorm(size)
        self.expand = linear(size, config.mlp_ratio * size, key=keys[2])
        self.contract = linear(config.mlp_ratio * size, size, key=keys[3])
        self.num_heads = config.num_heads
        self.kernel = config.attention

    def __call__(
        self, h: Float[Array, "tokens size"], skip: Float[Array, "tokens size"] | None
    ) -> Float[Array, "tokens size"]:
        """Apply the block to the tokens of one image."""
        if self.skip is not None and skip is not None:
            h = apply_linear(self.skip, jnp.concatenate([h, skip], axis=1))
        queries, keys, values = split_heads(
            apply_linear(self.qkv, jax.vmap(self.norm1)(h)), 3, self.num_heads
        )
        mixed = attend(queries, keys, values, kernel=self.kernel)
        h = h + apply_linear(self.project, mixed.reshape(h.shape))
        expanded = jax.nn.gelu(apply_linear(self.expand, jax.vmap(self.norm2)(h)))
        return h + apply_linear(self.contract, expanded)


class UViT(AbstractDenoiserNetwork):
    """Tokens of all kinds, blocks, scanned in two halves, and back to pixels."""

    into: eqx.nn.Linear
    tokens: eqx.nn.Linear | None
    rest: eqx.nn.Linear | None
    positions: Float[Array, "tokens size"]
    first: Stack
    middle: UViTBlock
    second: Stack
    norm: eqx.nn.LayerNorm
    out: eqx.nn.Linear
    smooth: Conv2d
    config: UViTConfig = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: UViTConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int,
        out_channels: int | None = None,
        key: Key[Array, ""],
    ):
        """Random weights; the output starts at zero but for a little.

        Args:
            config: its sizes.
            event_shape: (channels, height, width), the sides divisible by the patch size.
            condition_size: length of the condition vector; 0: unconditional.
            out_channels: channels of the output; None: those of the image.
            key: randomness of the weights.

        Raises:
            ConfigError: the shape is not that of an image, the patch size does not divide it, or the condition is
                shorter than its tokens.
        """
        rows, columns = grid_of(config, event_shape)
        rest = rest_size(condition_size, config.condition_tokens)
        length, features = (0, 0) if config.condition_tokens is None else config.condition_tokens
        keys = jax.random.split(key, 9)
        size, patch_numbers = config.hidden_size, event_shape[0] * config.patch_size**2
        self.into = linear(patch_numbers, size, key=keys[0])
        self.tokens = linear(features, size, key=keys[1]) if length else None
        self.rest = linear(rest, size, key=keys[2]) if rest else None
        num_tokens = 1 + (1 if rest else 0) + length + rows * columns
        self.positions = normal_weights((num_tokens, size), _POSITION_SCALE, key=keys[3])

        def half(has_skip: bool, key: Key[Array, ""]) -> Stack:
            return Stack(
                lambda key: UViTBlock(config, has_skip=has_skip, key=key),
                config.num_layers // 2,
                remat=config.remat,
                key=key,
            )

        self.first = half(False, keys[4])
        self.middle = UViTBlock(config, has_skip=False, key=keys[5])
        self.second = half(True, keys[6])
        self.norm = eqx.nn.LayerNorm(size)
        channels = out_channels or event_shape[0]
        self.out = linear(size, channels * config.patch_size**2, key=keys[7])
        self.smooth = conv2d(channels, channels, scale=_SMALL, key=keys[8])
        self.config = config
        self.event_shape = tuple(event_shape)
        self.condition_size = condition_size

    def __call__(
        self,
        x: Float[Array, "..."],
        level: Float[Array, ""],
        condition: Float[Array, " condition_size"] | None,
    ) -> Float[Array, "..."]:
        """Predict."""
        check_event_shape(x, self.event_shape)
        check_condition_vector(condition, self.condition_size)
        dtype, patch_size = output_dtype(x), self.config.patch_size
        patches = apply_linear(self.into, to_patches(x.astype(self.into.weight.dtype), patch_size))
        before = self._tokens_before(level, condition)
        h = jnp.concatenate([*before, patches]) + self.positions
        h, skips = self.first.scan(lambda block, h, _: (block(h, None),) * 2, h, None)
        h = rematerialized(self.middle, self.config.remat)(h, None)
        h, _ = self.second.scan(lambda block, h, skip: (block(h, skip), None), h, skips[::-1])
        h = apply_linear(self.out, jax.vmap(self.norm)(h[-len(patches) :]))
        image = from_patches(h, patch_size, self.event_shape)
        return channels_first(self.smooth(channels_last(image))).astype(dtype)

    def _tokens_before(
        self, level: Float[Array, ""], condition: Float[Array, " condition_size"] | None
    ) -> list[Float[Array, "_ size"]]:
        """Those of the noise level and of the condition."""
        compute = self.into.weight.dtype
        tokens, rest = split_condition(condition, self.config.condition_tokens)
        before = [sinusoidal_features(level, self.config.hidden_size).astype(compute)[None]]
        if self.rest is not None and rest is not None:
            before.append(apply_linear(self.rest, rest.astype(compute))[None])
        if self.tokens is not None and tokens is not None:
            before.append(apply_linear(self.tokens, tokens.astype(compute)))
        return before


@make_denoiser.register
def _(
    config: UViTConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int,
    out_channels: int | None = None,
    key: Key[Array, ""],
) -> AbstractDenoiserNetwork:
    return UViT(config, event_shape, condition_size=condition_size, out_channels=out_channels, key=key)
