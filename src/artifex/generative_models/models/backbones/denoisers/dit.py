"""Diffusion transformer: an image as a sequence of patches, every block modulated by noise level and condition.

    h <- h + gate1 attention(norm(h) (1 + scale1) + shift1)
    h <- h + gate2 mlp(norm(h) (1 + scale2) + shift2)

with shifts, scales and gates affine in the embedding of noise level and condition, all zero at first (adaLN-Zero), so
that every block starts as the identity and the output at zero.

Source: Peebles & Xie 2023, arXiv:2212.09748, section 3. The noise level's 256 features end at the longest period, as in
the `diffusers` package, so that its weights fit. Deviations: LeCun-normal instead of Xavier-uniform weights.
"""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import ConfigError, DiTConfig
from artifex.generative_models.models.backbones.conditions import check_condition_vector
from artifex.generative_models.models.backbones.denoisers.base import AbstractDenoiserNetwork, make_denoiser
from artifex.generative_models.models.backbones.dtypes import output_dtype
from artifex.generative_models.models.backbones.layers import apply_linear, linear
from artifex.generative_models.models.backbones.noise_levels import NoiseLevelEmbedding
from artifex.generative_models.models.backbones.stack import Stack

_NUM_FEATURES = 256
_EPSILON = 1e-6


class DiTBlock(eqx.Module):
    """Attention and an MLP, each on a normalised and modulated input, each added through a gate."""

    modulation: eqx.nn.Linear
    qkv: eqx.nn.Linear
    project: eqx.nn.Linear
    expand: eqx.nn.Linear
    contract: eqx.nn.Linear
    num_heads: int = eqx.field(static=True)

    def __init__(self, config: DiTConfig, *, key: Key[Array, ""]):
        """Random weights; the modulation is zero, so the block is the identity."""
        keys = jax.random.split(key, 5)
        size = config.hidden_size
        self.modulation = linear(size, 6 * size, scale=0.0, key=keys[0])
        self.qkv = linear(size, 3 * size, key=keys[1])
        self.project = linear(size, size, key=keys[2])
        self.expand = linear(size, config.mlp_ratio * size, key=keys[3])
        self.contract = linear(config.mlp_ratio * size, size, key=keys[4])
        self.num_heads = config.num_heads

    def __call__(
        self, h: Float[Array, "tokens size"], embedding: Float[Array, " size"]
    ) -> Float[Array, "tokens size"]:
        """Apply the block to the tokens of one image."""
        modulation = apply_linear(self.modulation, embedding)[None]
        shift1, scale1, gate1, shift2, scale2, gate2 = jnp.split(modulation, 6, axis=1)
        h = h + gate1 * self._attention(_normalized(h) * (1 + scale1) + shift1)
        return h + gate2 * self._mlp(_normalized(h) * (1 + scale2) + shift2)

    def _attention(self, h: Float[Array, "tokens size"]) -> Float[Array, "tokens size"]:
        projected = apply_linear(self.qkv, h).reshape(len(h), 3, self.num_heads, -1)
        queries, keys, values = (projected[:, i] for i in range(3))
        mixed = jax.nn.dot_product_attention(queries, keys, values)
        return apply_linear(self.project, mixed.reshape(h.shape))

    def _mlp(self, h: Float[Array, "tokens size"]) -> Float[Array, "tokens size"]:
        return apply_linear(self.contract, jax.nn.gelu(apply_linear(self.expand, h)))


class DiT(AbstractDenoiserNetwork):
    """Patches to tokens, equal blocks, scanned, and back to pixels."""

    embedding: NoiseLevelEmbedding
    into: eqx.nn.Linear
    blocks: Stack
    modulation: eqx.nn.Linear
    out: eqx.nn.Linear
    patch_size: int = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self, config: DiTConfig, event_shape: tuple[int, ...], *, condition_size: int, key: Key[Array, ""]
    ):
        """Random weights; the output is zero at first.

        Args:
            config: its sizes.
            event_shape: (channels, height, width), the sides divisible by the patch size.
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the weights.

        Raises:
            ConfigError: the shape is not that of an image, or the patch size does not divide it.
        """
        _check_shape(config, event_shape)
        embedding_key, into_key, blocks_key, modulation_key, out_key = jax.random.split(key, 5)
        size, patch_numbers = config.hidden_size, event_shape[0] * config.patch_size**2
        self.embedding = NoiseLevelEmbedding(
            size,
            condition_size=condition_size,
            num_features=_NUM_FEATURES,
            has_longest=True,
            key=embedding_key,
        )
        self.into = linear(patch_numbers, size, key=into_key)
        self.blocks = Stack(lambda key: DiTBlock(config, key=key), config.num_layers, key=blocks_key)
        self.modulation = linear(size, 2 * size, scale=0.0, key=modulation_key)
        self.out = linear(size, patch_numbers, scale=0.0, key=out_key)
        self.patch_size = config.patch_size
        self.event_shape = tuple(event_shape)
        self.condition_size = condition_size

    def __call__(
        self,
        x: Float[Array, "..."],
        level: Float[Array, ""],
        condition: Float[Array, " condition_size"] | None,
    ) -> Float[Array, "..."]:
        """Predict."""
        if x.shape != self.event_shape:
            raise ValueError(f"the network takes images of shape {self.event_shape}; got {x.shape}")
        check_condition_vector(condition, self.condition_size)
        dtype, compute = output_dtype(x), self.out.weight.dtype
        embedding = self.embedding(level, condition)
        grid = (x.shape[1] // self.patch_size, x.shape[2] // self.patch_size)
        positions = jnp.asarray(position_features(*grid, self.into.out_features), compute)
        h = apply_linear(self.into, self._patches(x.astype(compute))) + positions
        h = self.blocks(h, embedding)
        shift, scale = jnp.split(apply_linear(self.modulation, embedding)[None], 2, axis=1)
        return self._image(apply_linear(self.out, _normalized(h) * (1 + scale) + shift)).astype(dtype)

    def _patches(self, x: Float[Array, "channels height width"]) -> Float[Array, "tokens patch_numbers"]:
        """Patches row by row, each as (channels, rows, columns)."""
        channels, height, width = x.shape
        size = self.patch_size
        x = x.reshape(channels, height // size, size, width // size, size)
        return x.transpose(1, 3, 0, 2, 4).reshape(-1, channels * size * size)

    def _image(self, h: Float[Array, "tokens patch_numbers"]) -> Float[Array, "channels height width"]:
        """Patches, each as (rows, columns, channels), at their places."""
        channels, height, width = self.event_shape
        size = self.patch_size
        h = h.reshape(height // size, width // size, size, size, channels)
        return h.transpose(4, 0, 2, 1, 3).reshape(self.event_shape)


@make_denoiser.register
def _(
    config: DiTConfig, event_shape: tuple[int, ...], *, condition_size: int, key: Key[Array, ""]
) -> AbstractDenoiserNetwork:
    return DiT(config, event_shape, condition_size=condition_size, key=key)


@functools.lru_cache(maxsize=16)
def position_features(height: int, width: int, size: int) -> Float[np.ndarray, "tokens size"]:
    """Where the tokens of a grid stand: sines and cosines of the column, then of the row.

    Source: He et al. 2022 (MAE), arXiv:2111.06377; frequencies 10,000^(-i / (size / 4)), i from 0.

    Args:
        height: rows of the grid; tokens come row by row.
        width: columns.
        size: number of features, a multiple of 4.
    """
    frequencies = 10_000.0 ** -(np.arange(size // 4) / (size / 4))
    rows, columns = np.divmod(np.arange(height * width), width)
    angles = [place[:, None] * frequencies for place in (columns, rows)]
    features = np.concatenate([f(angle) for angle in angles for f in (np.sin, np.cos)], axis=1)
    features = features.astype(np.float32)
    features.flags.writeable = False  # it is kept for the next call
    return features


def _normalized(h: Float[Array, "tokens size"]) -> Float[Array, "tokens size"]:
    """Zero mean and unit variance over the features of each token, computed in float32."""
    full = h.astype(jnp.float32)
    centred = full - jnp.mean(full, axis=1, keepdims=True)
    variance = jnp.mean(centred**2, axis=1, keepdims=True)
    return (centred * jax.lax.rsqrt(variance + _EPSILON)).astype(h.dtype)


def _check_shape(config: DiTConfig, event_shape: tuple[int, ...]) -> None:
    if len(event_shape) != 3:
        raise ConfigError(
            f"the `dit` network needs images (channels, height, width); got `event_shape` {tuple(event_shape)}. "
            "Use the `mlp` network for other shapes."
        )
    if any(side % config.patch_size for side in event_shape[1:]):
        raise ConfigError(
            f"`patch_size` must divide the sides of `event_shape`; got {config.patch_size} and "
            f"{event_shape[1]}x{event_shape[2]}. Give another patch size, or pad or crop the images."
        )
