"""Attention through JAX's fused function, on the fastest kernel that device, type and head size allow."""

from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from artifex.generative_models.core.configuration import AttentionKernel
from artifex.generative_models.models.backbones.layers import apply_linear, linear

_MIN_COMPUTE_CAPABILITY = 8.0
_MAX_HEAD_SIZE = 128


def attend(
    queries: Float[Array, "tokens heads head_size"],
    keys: Float[Array, "others heads head_size"],
    values: Float[Array, "others heads head_size"],
    *,
    is_causal: bool = False,
    is_visible: Bool[Array, "tokens others"] | None = None,
    kernel: AttentionKernel = "auto",
) -> Float[Array, "tokens heads head_size"]:
    """`softmax(queries keys^T / sqrt(head_size)) values` in each head; the softmax is computed in float32 at least.

    Args:
        queries: what asks.
        keys: what is compared with it.
        values: what is mixed.
        is_causal: whether token i sees the others up to number i alone.
        is_visible: which others a token sees, at least one; None: all.
        kernel: "auto" takes cuDNN's where it can, which has no forward-mode derivative; "xla" never.
    """
    if queries.dtype == jnp.float64:  # JAX's function would compute the softmax in float32
        return _attend_in_full(queries, keys, values, is_causal, is_visible)
    chosen = (
        attention_kernel(jax.devices()[0], queries.dtype, queries.shape[-1]) if kernel == "auto" else "xla"
    )
    mask = None if is_visible is None else is_visible[None]
    return jax.nn.dot_product_attention(
        queries, keys, values, mask=mask, is_causal=is_causal, implementation=chosen
    )


def _attend_in_full(
    queries: Float[Array, "tokens heads head_size"],
    keys: Float[Array, "others heads head_size"],
    values: Float[Array, "others heads head_size"],
    is_causal: bool,
    is_visible: Bool[Array, "tokens others"] | None,
) -> Float[Array, "tokens heads head_size"]:
    """`attend` in the type of its arguments."""
    scores = jnp.einsum("tnh,snh->nts", queries, keys) * queries.shape[-1] ** -0.5
    if is_causal:
        scores = jnp.where(jnp.tri(*scores.shape[1:], dtype=bool)[None], scores, -jnp.inf)
    if is_visible is not None:
        scores = jnp.where(is_visible[None], scores, -jnp.inf)
    return jnp.einsum("nts,snh->tnh", jax.nn.softmax(scores, axis=-1), values)


def attention_kernel(device: Any, dtype: Any, head_size: int) -> Literal["cudnn", "xla"]:
    """The fastest implementation of `jax.nn.dot_product_attention` that takes such heads on a device.

    cuDNN's flash attention needs CUDA devices of compute capability 8.0, types of 16 bits, and heads of a multiple of
    8 and at most 128 features; all else runs on "xla".

    Args:
        device: as `jax.devices()` lists it.
        dtype: type of queries, keys and values.
        head_size: features of a head.
    """
    capability = str(getattr(device, "compute_capability", ""))  # ROCm devices say "gfx942" or the like
    is_new = capability.replace(".", "", 1).isdigit() and float(capability) >= _MIN_COMPUTE_CAPABILITY
    is_short = jnp.dtype(dtype) in (jnp.dtype(jnp.bfloat16), jnp.dtype(jnp.float16))
    fits = head_size % 8 == 0 and head_size <= _MAX_HEAD_SIZE
    return "cudnn" if device.platform == "gpu" and is_new and is_short and fits else "xla"


def split_heads(
    projected: Float[Array, "tokens parts_features"], num_parts: int, num_heads: int
) -> list[Float[Array, "tokens heads head_size"]]:
    """Queries, keys, values, or some of them, which stand one after the other in the features."""
    parts = projected.reshape(len(projected), num_parts, num_heads, -1)
    return [parts[:, index] for index in range(num_parts)]


class CrossAttention(eqx.Module):
    """`out(attention(queries of h; keys and values of other tokens))`; the order of the others makes no difference."""

    queries: eqx.nn.Linear
    keys_values: eqx.nn.Linear
    out: eqx.nn.Linear
    num_heads: int = eqx.field(static=True)
    kernel: AttentionKernel = eqx.field(static=True)

    def __init__(
        self,
        size: int,
        other_size: int,
        num_heads: int,
        *,
        kernel: AttentionKernel = "auto",
        out_scale: float = 1.0,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            size: features of the tokens that ask.
            other_size: features of those that answer.
            num_heads: attention heads; divides `size`.
            kernel: as in `attend`.
            out_scale: factor on the initial weights of the last layer.
            key: randomness of the weights.
        """
        queries_key, others_key, out_key = jax.random.split(key, 3)
        self.queries = linear(size, size, key=queries_key)
        self.keys_values = linear(other_size, 2 * size, key=others_key)
        self.out = linear(size, size, scale=out_scale, key=out_key)
        self.num_heads = num_heads
        self.kernel = kernel

    def __call__(
        self, h: Float[Array, "tokens size"], others: Float[Array, "others other_size"]
    ) -> Float[Array, "tokens size"]:
        """Mix what the others say into each token."""
        (queries,) = split_heads(apply_linear(self.queries, h), 1, self.num_heads)
        keys, values = split_heads(apply_linear(self.keys_values, others), 2, self.num_heads)
        return apply_linear(self.out, attend(queries, keys, values, kernel=self.kernel).reshape(h.shape))
