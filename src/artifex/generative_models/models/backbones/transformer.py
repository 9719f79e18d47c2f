"""Causal transformer on one sequence, with a step-by-step form that gives the same numbers from a cache.

Pre-norm blocks: `x + attention(norm(x))`, then `x + mlp(norm(x))`. Sources: Vaswani et al. 2017, arXiv:1706.03762;
pre-norm and the initial scale of the residual branches, 1 / sqrt(2 num_layers): Radford et al. 2019 (GPT-2).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.models.backbones.attention import attend, split_heads
from artifex.generative_models.models.backbones.dtypes import weight_dtype
from artifex.generative_models.models.backbones.layers import apply_linear, linear
from artifex.generative_models.models.backbones.stack import Stack


class KeyValueCache(eqx.Module):
    """Keys and values of the positions seen so far; rows not yet seen hold zeros."""

    keys: Float[Array, "... length heads head_size"]
    values: Float[Array, "... length heads head_size"]


class CausalAttention(eqx.Module):
    """Multi-head self-attention in which position t sees positions 0 to t."""

    qkv: eqx.nn.Linear
    out: eqx.nn.Linear
    num_heads: int = eqx.field(static=True)

    def __init__(self, hidden_size: int, num_heads: int, *, out_scale: float = 1.0, key: Key[Array, ""]):
        if hidden_size % num_heads:
            raise ValueError(f"`num_heads` must divide `hidden_size`; got {num_heads} and {hidden_size}")
        qkv_key, out_key = jax.random.split(key)
        self.qkv = linear(hidden_size, 3 * hidden_size, use_bias=False, key=qkv_key)
        self.out = linear(hidden_size, hidden_size, scale=out_scale, key=out_key)
        self.num_heads = num_heads

    def __call__(self, x: Float[Array, "length hidden"]) -> Float[Array, "length hidden"]:
        """Attend within one sequence."""
        mixed = attend(*self._project(x), is_causal=True)
        return apply_linear(self.out, mixed.reshape(x.shape))

    def step(
        self, x: Float[Array, " hidden"], cache: KeyValueCache, position: Int[Array, ""]
    ) -> tuple[Float[Array, " hidden"], KeyValueCache]:
        """Attend from one position to those in the cache and to itself."""
        queries, keys, values = self._project(x[None])
        cache = KeyValueCache(
            keys=jax.lax.dynamic_update_index_in_dim(cache.keys, keys[0], position, 0),
            values=jax.lax.dynamic_update_index_in_dim(cache.values, values[0], position, 0),
        )
        seen = (jnp.arange(cache.keys.shape[0]) <= position)[None]
        mixed = attend(queries, cache.keys, cache.values, is_visible=seen, kernel="xla")
        return apply_linear(self.out, mixed.reshape(x.shape)), cache

    def _project(self, x: Float[Array, "length hidden"]) -> list[Float[Array, "length heads head_size"]]:
        return split_heads(apply_linear(self.qkv, x), 3, self.num_heads)


class TransformerBlock(eqx.Module):
    """Attention and an MLP of four times the width, each on a normalised input, each added to it."""

    norm1: eqx.nn.LayerNorm
    attention: CausalAttention
    norm2: eqx.nn.LayerNorm
    up: eqx.nn.Linear
    down: eqx.nn.Linear

    def __init__(self, hidden_size: int, num_heads: int, *, out_scale: float = 1.0, key: Key[Array, ""]):
        attention_key, up_key, down_key = jax.random.split(key, 3)
        self.norm1 = eqx.nn.LayerNorm(hidden_size)
        self.attention = CausalAttention(hidden_size, num_heads, out_scale=out_scale, key=attention_key)
        self.norm2 = eqx.nn.LayerNorm(hidden_size)
        self.up = linear(hidden_size, 4 * hidden_size, key=up_key)
        self.down = linear(4 * hidden_size, hidden_size, scale=out_scale, key=down_key)

    def __call__(self, x: Float[Array, "length hidden"]) -> Float[Array, "length hidden"]:
        """Apply the block to one sequence."""
        return self._mlp(x + self.attention(jax.vmap(self.norm1)(x)))

    def step(
        self, x: Float[Array, " hidden"], cache: KeyValueCache, position: Int[Array, ""]
    ) -> tuple[Float[Array, " hidden"], KeyValueCache]:
        """Apply the block at one position."""
        mixed, cache = self.attention.step(self.norm1(x), cache, position)
        return self._mlp((x + mixed)[None])[0], cache

    def _mlp(self, x: Float[Array, "length hidden"]) -> Float[Array, "length hidden"]:
        h = jax.nn.gelu(apply_linear(self.up, jax.vmap(self.norm2)(x)))
        return x + apply_linear(self.down, h)


class CausalTransformer(eqx.Module):
    """Equal blocks, scanned, and a last norm. Works on embeddings: output t depends on inputs 0 to t alone."""

    blocks: Stack
    norm: eqx.nn.LayerNorm
    hidden_size: int = eqx.field(static=True)
    num_heads: int = eqx.field(static=True)

    def __init__(self, hidden_size: int, num_layers: int, num_heads: int, *, key: Key[Array, ""]):
        """Build the blocks.

        Args:
            hidden_size: width, a multiple of `num_heads`.
            num_layers: number of blocks.
            num_heads: attention heads of each.
            key: randomness of the weights.
        """
        scale = (2 * num_layers) ** -0.5
        self.blocks = Stack(
            lambda key: TransformerBlock(hidden_size, num_heads, out_scale=scale, key=key),
            num_layers,
            key=key,
        )
        self.norm = eqx.nn.LayerNorm(hidden_size)
        self.hidden_size = hidden_size
        self.num_heads = num_heads

    def __call__(self, x: Float[Array, "length hidden"]) -> Float[Array, "length hidden"]:
        """Transform one sequence, in the type of the weights."""
        h = self.blocks(x.astype(weight_dtype(self)))
        return jax.vmap(self.norm)(h).astype(x.dtype)

    def empty_cache(self, length: int) -> KeyValueCache:
        """The cache before the first of `length` positions, with a leading axis of layers."""
        dtype = weight_dtype(self)
        shape = (self.blocks.num_layers, length, self.num_heads, self.hidden_size // self.num_heads)
        return KeyValueCache(jnp.zeros(shape, dtype), jnp.zeros(shape, dtype))

    def step(
        self, x: Float[Array, " hidden"], cache: KeyValueCache, position: Int[Array, ""]
    ) -> tuple[Float[Array, " hidden"], KeyValueCache]:
        """Transform position `position`, given the cache of those before; positions come in order from 0.

        Returns:
            Row `position` of what the whole sequence would give, and the new cache.
        """
        h, cache = self.blocks.scan(
            lambda block, h, cache: block.step(h, cache, position), x.astype(weight_dtype(self)), cache
        )
        return self.norm(h).astype(x.dtype), cache
