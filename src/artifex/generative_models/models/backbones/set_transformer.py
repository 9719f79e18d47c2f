"""Transformer on a set: what comes out for an element depends on it and on all others, in whatever order they come."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

from artifex.generative_models.models.backbones.attention import CrossAttention
from artifex.generative_models.models.backbones.dtypes import weight_dtype
from artifex.generative_models.models.backbones.layers import apply_linear, linear
from artifex.generative_models.models.backbones.stack import Stack


class SetBlock(eqx.Module):
    """Attention of the elements to one another and an MLP, each on a normalised input, each added to it."""

    norm1: eqx.nn.LayerNorm
    attention: CrossAttention
    norm2: eqx.nn.LayerNorm
    up: eqx.nn.Linear
    down: eqx.nn.Linear

    def __init__(self, hidden_size: int, num_heads: int, *, out_scale: float = 1.0, key: Key[Array, ""]):
        """Random weights; `out_scale` is a factor on those of the two last layers."""
        attention_key, up_key, down_key = jax.random.split(key, 3)
        self.norm1 = eqx.nn.LayerNorm(hidden_size)
        self.attention = CrossAttention(
            hidden_size, hidden_size, num_heads, out_scale=out_scale, key=attention_key
        )
        self.norm2 = eqx.nn.LayerNorm(hidden_size)
        self.up = linear(hidden_size, 4 * hidden_size, key=up_key)
        self.down = linear(4 * hidden_size, hidden_size, scale=out_scale, key=down_key)

    def __call__(self, h: Float[Array, "elements hidden"]) -> Float[Array, "elements hidden"]:
        """Apply the block to one set."""
        seen = jax.vmap(self.norm1)(h)
        h = h + self.attention(seen, seen)
        return h + apply_linear(self.down, jax.nn.gelu(apply_linear(self.up, jax.vmap(self.norm2)(h))))


class SetTransformer(eqx.Module):
    """Equal blocks, scanned, and no positions, so that it is equivariant under permutations of the elements.

    Source: Lee et al. 2019 (Set Transformer), arXiv:1810.00825, section 3.1. Deviation: norms stand before attention
    and MLP.
    """

    into: eqx.nn.Linear
    condition: eqx.nn.Linear | None
    blocks: Stack
    norm: eqx.nn.LayerNorm
    out: eqx.nn.Linear

    def __init__(
        self,
        in_size: int,
        out_size: int,
        *,
        hidden_size: int,
        num_layers: int,
        num_heads: int,
        condition_size: int = 0,
        out_scale: float = 1.0,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            in_size: features of an element.
            out_size: numbers that come out for each.
            hidden_size: width, a multiple of `num_heads`.
            num_layers: blocks.
            num_heads: attention heads of each.
            condition_size: length of the condition vector, which all elements get; 0: unconditional.
            out_scale: factor on the initial weights of the last layer.
            key: randomness of the weights.
        """
        into, condition, blocks, out = jax.random.split(key, 4)
        scale = (2 * num_layers) ** -0.5
        self.into = linear(in_size, hidden_size, key=into)
        self.condition = (
            linear(condition_size, hidden_size, use_bias=False, key=condition) if condition_size else None
        )
        self.blocks = Stack(
            lambda key: SetBlock(hidden_size, num_heads, out_scale=scale, key=key), num_layers, key=blocks
        )
        self.norm = eqx.nn.LayerNorm(hidden_size)
        self.out = linear(hidden_size, out_size, scale=out_scale, key=out)

    def __call__(
        self,
        x: Float[Array, "elements in_size"],
        condition: Float[Array, " condition_size"] | None = None,
    ) -> Float[Array, "elements out_size"]:
        """Transform one set, in the type of the weights."""
        dtype = weight_dtype(self)
        h = apply_linear(self.into, x.astype(dtype))
        if self.condition is not None and condition is not None:
            h = h + apply_linear(self.condition, condition.astype(dtype))[None]
        h = jax.vmap(self.norm)(self.blocks(h))
        return apply_linear(self.out, h).astype(x.dtype)
