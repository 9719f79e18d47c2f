"""Diffusion transformer: an image as a sequence of patches, every block modulated by noise level and condition.

    h <- h + gate1 attention(norm(h) (1 + scale1) + shift1)
    h <- h + cross_attention(h, tokens)                          with condition tokens
    h <- h + gate2 mlp(norm(h) (1 + scale2) + shift2)

with shifts, scales and gates affine in the embedding of noise level and condition, all zero at first (adaLN-Zero), so
that every block starts as the identity and the output at zero.

Sources: Peebles & Xie 2023, arXiv:2212.09748, section 3; cross-attention, its last layer zero at first, and the MLP
before it: Chen et al. 2024 (PixArt-alpha), arXiv:2310.00426, section 2.3. The noise level's 256 features end at the
longest period, as in the `diffusers` package, so that its weights fit. Deviations: LeCun-normal instead of
Xavier-uniform weights; with condition tokens each block keeps a modulation of its own, which PixArt's share.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import AttentionKernel, DiTConfig
from artifex.generative_models.models.backbones.attention import CrossAttention, attend, split_heads
from artifex.generative_models.models.backbones.conditions import (
    check_condition_vector,
    rest_size,
    split_condition,
)
from artifex.generative_models.models.backbones.denoisers.base import AbstractDenoiserNetwork, make_denoiser
from artifex.generative_models.models.backbones.denoisers.patches import (
    check_event_shape,
    from_patches,
    grid_of,
    to_patches,
)
from artifex.generative_models.models.backbones.denoisers.positions import (
    position_features,
    rotated,
    rotations,
)
from artifex.generative_models.models.backbones.dtypes import output_dtype
from artifex.generative_models.models.backbones.layers import apply_linear, linear, normalized
from artifex.generative_models.models.backbones.noise_levels import NoiseLevelEmbedding
from artifex.generative_models.models.backbones.stack import Stack

NUM_LEVEL_FEATURES = 256


class DiTBlock(eqx.Module):
    """Attention and an MLP, each on a normalised and modulated input, each added through a gate."""

    modulation: eqx.nn.Linear
    qkv: eqx.nn.Linear
    project: eqx.nn.Linear
    cross: CrossAttention | None
    expand: eqx.nn.Linear
    contract: eqx.nn.Linear
    num_heads: int = eqx.field(static=True)
    kernel: AttentionKernel = eqx.field(static=True)
    rotary_grid: tuple[int, int] | None = eqx.field(static=True)

    def __init__(self, config: DiTConfig, grid: tuple[int, int], *, key: Key[Array, ""]):
        """Random weights; modulation and cross-attention are zero, so the block is the identity.

        Args:
            config: of the network.
            grid: rows and columns of patches.
            key: randomness of the weights.
        """
        keys = jax.random.split(key, 6)
        size = config.hidden_size
        self.modulation = linear(size, 6 * size, scale=0.0, key=keys[0])
        self.qkv = linear(size, 3 * size, key=keys[1])
        self.project = linear(size, size, key=keys[2])
        self.expand = linear(size, config.mlp_ratio * size, key=keys[3])
        self.contract = linear(config.mlp_ratio * size, size, key=keys[4])
        self.num_heads = config.num_heads
        self.kernel = config.attention
        self.rotary_grid = grid if config.positions == "rotary" else None
        self.cross = None
        if config.condition_tokens is not None:
            self.cross = CrossAttention(
                size, size, config.num_heads, kernel=config.attention, out_scale=0.0, key=keys[5]
            )

    def __call__(
        self,
        h: Float[Array, "tokens size"],
        embedding: Float[Array, " size"],
        others: Float[Array, "length size"] | None,
    ) -> Float[Array, "tokens size"]:
        """Apply the block to the tokens of one image."""
        modulation = apply_linear(self.modulation, embedding)[None]
        shift1, scale1, gate1, shift2, scale2, gate2 = jnp.split(modulation, 6, axis=1)
        h = h + gate1 * self._attention(normalized(h) * (1 + scale1) + shift1)
        if self.cross is not None and others is not None:
            h = h + self.cross(h, others)
        return h + gate2 * self._mlp(normalized(h) * (1 + scale2) + shift2)

    def _attention(self, h: Float[Array, "tokens size"]) -> Float[Array, "tokens size"]:
        queries, keys, values = split_heads(apply_linear(self.qkv, h), 3, self.num_heads)
        if self.rotary_grid is not None:
            turns = rotations(*self.rotary_grid, queries.shape[2])
            queries, keys = rotated(queries, turns), rotated(keys, turns)
        mixed = attend(queries, keys, values, kernel=self.kernel)
        return apply_linear(self.project, mixed.reshape(h.shape))

    def _mlp(self, h: Float[Array, "tokens size"]) -> Float[Array, "tokens size"]:
        return apply_linear(self.contract, jax.nn.gelu(apply_linear(self.expand, h)))


class TokenEmbedding(eqx.Module):
    """`W2 gelu(W1 token)`, for each token of a condition."""

    first: eqx.nn.Linear
    second: eqx.nn.Linear

    def __init__(self, token_size: int, size: int, *, key: Key[Array, ""]):
        """Random weights."""
        first_key, second_key = jax.random.split(key)
        self.first = linear(token_size, size, key=first_key)
        self.second = linear(size, size, key=second_key)

    def __call__(self, tokens: Float[Array, "length features"]) -> Float[Array, "length size"]:
        """Embed them, in the type of the weights."""
        h = apply_linear(self.first, tokens.astype(self.first.weight.dtype))
        return apply_linear(self.second, jax.nn.gelu(h))


class DiT(AbstractDenoiserNetwork):
    """Patches to tokens, equal blocks, scanned, and back to pixels."""

    embedding: NoiseLevelEmbedding
    tokens: TokenEmbedding | None
    into: eqx.nn.Linear
    blocks: Stack
    modulation: eqx.nn.Linear
    out: eqx.nn.Linear
    config: DiTConfig = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: DiTConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int,
        out_channels: int | None = None,
        key: Key[Array, ""],
    ):
        """Random weights; the output is zero at first.

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
        grid = grid_of(config, event_shape)
        keys = jax.random.split(key, 6)
        size, patch_numbers = config.hidden_size, event_shape[0] * config.patch_size**2
        self.embedding = NoiseLevelEmbedding(
            size,
            condition_size=rest_size(condition_size, config.condition_tokens),
            num_features=NUM_LEVEL_FEATURES,
            has_longest=True,
            key=keys[0],
        )
        self.tokens = None
        if config.condition_tokens is not None:
            self.tokens = TokenEmbedding(config.condition_tokens[1], size, key=keys[5])
        self.into = linear(patch_numbers, size, key=keys[1])
        self.blocks = Stack(
            lambda key: DiTBlock(config, grid, key=key), config.num_layers, remat=config.remat, key=keys[2]
        )
        self.modulation = linear(size, 2 * size, scale=0.0, key=keys[3])
        self.out = linear(
            size, (out_channels or event_shape[0]) * config.patch_size**2, scale=0.0, key=keys[4]
        )
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
        dtype, compute = output_dtype(x), self.out.weight.dtype
        tokens, rest = split_condition(condition, self.config.condition_tokens)
        embedding = self.embedding(level, rest)
        others = None if self.tokens is None or tokens is None else self.tokens(tokens)
        h = apply_linear(self.into, to_patches(x.astype(compute), self.config.patch_size))
        if self.config.positions == "sin_cos":
            grid = grid_of(self.config, self.event_shape)
            h = h + jnp.asarray(position_features(*grid, h.shape[1]), compute)
        h = self.blocks(h, embedding, others)
        shift, scale = jnp.split(apply_linear(self.modulation, embedding)[None], 2, axis=1)
        h = apply_linear(self.out, normalized(h) * (1 + scale) + shift)
        return from_patches(h, self.config.patch_size, self.event_shape).astype(dtype)


@make_denoiser.register
def _(
    config: DiTConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int,
    out_channels: int | None = None,
    key: Key[Array, ""],
) -> AbstractDenoiserNetwork:
    return DiT(config, event_shape, condition_size=condition_size, out_channels=out_channels, key=key)
