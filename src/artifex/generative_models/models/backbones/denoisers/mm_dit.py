"""Multimodal diffusion transformer: condition tokens and patches in two streams of own weights, which attend jointly.

In a block each stream m normalises and modulates its tokens, all attend to all, and each goes on by itself:

    q, k, v  =  [of the condition's tokens ; of the patches]             each by its stream's weights
    h_m <- h_m + gate1_m project_m(attention(q, k, v)_m)
    h_m <- h_m + gate2_m mlp_m(norm(h_m) (1 + scale2_m) + shift2_m)

with modulations affine in the embedding of the noise level and of the rest of the condition, such as a pooled vector.
In the last block, after which nothing reads the condition's tokens, they give keys and values alone.

Source: Esser et al. 2024, arXiv:2403.03206, section 4 and figure 2; normalised queries and keys: section 5.3.2.
Deviations: modulations and output are zero at first, as in DiT's adaLN-Zero; the rest of the condition is embedded by
one affine map, as a class is, not by an MLP; the last block has no weights for the queries of the condition's tokens,
which the published networks have and never use. Tokens have no positions, so their order makes no difference unless
their features tell it, as those of text encoders do.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import AttentionKernel, MMDiTConfig
from artifex.generative_models.models.backbones.attention import attend, split_heads
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
from artifex.generative_models.models.backbones.denoisers.positions import position_features
from artifex.generative_models.models.backbones.dtypes import output_dtype
from artifex.generative_models.models.backbones.layers import apply_linear, linear, normalized
from artifex.generative_models.models.backbones.noise_levels import NoiseLevelEmbedding
from artifex.generative_models.models.backbones.remat import rematerialized
from artifex.generative_models.models.backbones.stack import Stack

_NUM_LEVEL_FEATURES = 256
_EPSILON = 1e-6


class JointAttentionStream(eqx.Module):
    """One stream's part before attention: a modulated norm, then queries, keys and values.

    A stream of which nothing is read afterwards has no queries, and of the modulation shift and scale alone.
    """

    modulation: eqx.nn.Linear
    qkv: eqx.nn.Linear
    query_scale: Float[Array, " head_size"] | None
    key_scale: Float[Array, " head_size"] | None
    num_heads: int = eqx.field(static=True)
    goes_on: bool = eqx.field(static=True)

    def __init__(self, config: MMDiTConfig, *, goes_on: bool, key: Key[Array, ""]):
        """Random weights; the modulation is zero.

        Args:
            config: of the network.
            goes_on: whether something reads the stream afterwards.
            key: randomness of the weights.
        """
        modulation_key, qkv_key = jax.random.split(key)
        size, ones = config.hidden_size, jnp.ones(config.head_size)
        self.modulation = linear(size, (6 if goes_on else 2) * size, scale=0.0, key=modulation_key)
        self.qkv = linear(size, (3 if goes_on else 2) * size, key=qkv_key)
        self.query_scale = ones if config.has_qk_norm and goes_on else None
        self.key_scale = ones if config.has_qk_norm else None
        self.num_heads = config.num_heads
        self.goes_on = goes_on

    def __call__(
        self, h: Float[Array, "tokens size"], embedding: Float[Array, " size"]
    ) -> tuple[list[Float[Array, "tokens heads head_size"]], list[Float[Array, "1 size"]]]:
        """Queries, if there are any, keys and values, and what of the modulation comes after shift and scale."""
        modulation = apply_linear(self.modulation, embedding)[None]
        shift, scale, *later = jnp.split(modulation, 6 if self.goes_on else 2, axis=1)
        projected = apply_linear(self.qkv, normalized(h) * (1 + scale) + shift)
        *queries, keys, values = split_heads(projected, 3 if self.goes_on else 2, self.num_heads)
        queries = [_unit_rms(each, self.query_scale) for each in queries]
        return [*queries, _unit_rms(keys, self.key_scale), values], later


class FeedForwardStream(eqx.Module):
    """One stream's part after attention: the projection of what was mixed, and an MLP, each through a gate."""

    project: eqx.nn.Linear
    expand: eqx.nn.Linear
    contract: eqx.nn.Linear

    def __init__(self, config: MMDiTConfig, *, key: Key[Array, ""]):
        """Random weights."""
        keys = jax.random.split(key, 3)
        size = config.hidden_size
        self.project = linear(size, size, key=keys[0])
        self.expand = linear(size, config.mlp_ratio * size, key=keys[1])
        self.contract = linear(config.mlp_ratio * size, size, key=keys[2])

    def __call__(
        self,
        h: Float[Array, "tokens size"],
        mixed: Float[Array, "tokens heads head_size"],
        modulation: list[Float[Array, "1 size"]],
    ) -> Float[Array, "tokens size"]:
        """Add both to the stream."""
        gate1, shift2, scale2, gate2 = modulation
        h = h + gate1 * apply_linear(self.project, mixed.reshape(h.shape))
        expanded = jax.nn.gelu(apply_linear(self.expand, normalized(h) * (1 + scale2) + shift2))
        return h + gate2 * apply_linear(self.contract, expanded)


class MMDiTBlock(eqx.Module):
    """A block of both streams; the last one returns the condition's tokens as they came."""

    tokens_in: JointAttentionStream
    tokens_out: FeedForwardStream | None
    patches_in: JointAttentionStream
    patches_out: FeedForwardStream
    kernel: AttentionKernel = eqx.field(static=True)

    def __init__(self, config: MMDiTConfig, *, is_last: bool, key: Key[Array, ""]):
        """Random weights; modulations are zero, so the block is the identity.

        Args:
            config: of the network.
            is_last: whether nothing reads the condition's tokens after it.
            key: randomness of the weights.
        """
        keys = jax.random.split(key, 4)
        self.tokens_in = JointAttentionStream(config, goes_on=not is_last, key=keys[0])
        self.tokens_out = None if is_last else FeedForwardStream(config, key=keys[1])
        self.patches_in = JointAttentionStream(config, goes_on=True, key=keys[2])
        self.patches_out = FeedForwardStream(config, key=keys[3])
        self.kernel = config.attention

    def __call__(
        self,
        streams: tuple[Float[Array, "length size"], Float[Array, "patches size"]],
        embedding: Float[Array, " size"],
    ) -> tuple[Float[Array, "length size"], Float[Array, "patches size"]]:
        """Apply the block to the tokens and patches of one example."""
        tokens, patches = streams
        (*token_queries, token_keys, token_values), tokens_later = self.tokens_in(tokens, embedding)
        (queries, keys, values), patches_later = self.patches_in(patches, embedding)
        mixed = attend(
            jnp.concatenate([*token_queries, queries]),
            jnp.concatenate([token_keys, keys]),
            jnp.concatenate([token_values, values]),
            kernel=self.kernel,
        )
        if self.tokens_out is not None:
            tokens = self.tokens_out(tokens, mixed[: len(tokens)], tokens_later)
        return tokens, self.patches_out(patches, mixed[-len(patches) :], patches_later)


class MMDiT(AbstractDenoiserNetwork):
    """Tokens and patches, blocks of both, scanned but for the last, and back to pixels."""

    embedding: NoiseLevelEmbedding
    tokens: eqx.nn.Linear
    into: eqx.nn.Linear
    blocks: Stack
    last: MMDiTBlock
    modulation: eqx.nn.Linear
    out: eqx.nn.Linear
    config: MMDiTConfig = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: MMDiTConfig,
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
            condition_size: length of the condition vector, which begins with the tokens.
            out_channels: channels of the output; None: those of the image.
            key: randomness of the weights.

        Raises:
            ConfigError: the shape is not that of an image, the patch size does not divide it, or the condition is
                shorter than its tokens.
        """
        grid_of(config, event_shape)
        keys = jax.random.split(key, 7)
        size, patch_numbers = config.hidden_size, event_shape[0] * config.patch_size**2
        self.embedding = NoiseLevelEmbedding(
            size,
            condition_size=rest_size(condition_size, config.condition_tokens),
            num_features=_NUM_LEVEL_FEATURES,
            key=keys[0],
        )
        self.tokens = linear(config.condition_tokens[1], size, key=keys[1])
        self.into = linear(patch_numbers, size, key=keys[2])
        self.blocks = Stack(
            lambda key: MMDiTBlock(config, is_last=False, key=key),
            config.num_layers - 1,
            remat=config.remat,
            key=keys[3],
        )
        self.last = MMDiTBlock(config, is_last=True, key=keys[4])
        self.modulation = linear(size, 2 * size, scale=0.0, key=keys[5])
        self.out = linear(
            size, (out_channels or event_shape[0]) * config.patch_size**2, scale=0.0, key=keys[6]
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
        tokens = apply_linear(self.tokens, jnp.asarray(tokens, compute))
        patches = apply_linear(self.into, to_patches(x.astype(compute), self.config.patch_size))
        grid = grid_of(self.config, self.event_shape)
        patches = patches + jnp.asarray(position_features(*grid, patches.shape[1]), compute)
        streams = self.blocks((tokens, patches), embedding)
        _, h = rematerialized(self.last, self.config.remat)(streams, embedding)
        shift, scale = jnp.split(apply_linear(self.modulation, embedding)[None], 2, axis=1)
        h = apply_linear(self.out, normalized(h) * (1 + scale) + shift)
        return from_patches(h, self.config.patch_size, self.event_shape).astype(dtype)


@make_denoiser.register
def _(
    config: MMDiTConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int,
    out_channels: int | None = None,
    key: Key[Array, ""],
) -> AbstractDenoiserNetwork:
    return MMDiT(config, event_shape, condition_size=condition_size, out_channels=out_channels, key=key)


def _unit_rms(
    h: Float[Array, "tokens heads head_size"], scale: Float[Array, " head_size"] | None
) -> Float[Array, "tokens heads head_size"]:
    """Unit mean square in each head, computed in float32, times a learned factor; as it is without one."""
    if scale is None:
        return h
    full = h.astype(jnp.float32)
    unit = full * jax.lax.rsqrt(jnp.mean(full**2, axis=2, keepdims=True) + _EPSILON)
    return unit.astype(h.dtype) * scale[None, None]
