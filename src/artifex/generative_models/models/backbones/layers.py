"""Layers with the initialisation that all backbones share: LeCun-normal weights, zero biases.

`scale` multiplies the standard deviation of the weights. Norms compute in float32, whatever their input's type.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

_LAYER = eqx.nn.Linear | eqx.nn.Conv2d


def linear(
    in_size: int, out_size: int, *, scale: float = 1.0, use_bias: bool = True, key: Key[Array, ""]
) -> eqx.nn.Linear:
    """Affine map of a vector `(in_size,)` to `(out_size,)`."""
    layer = eqx.nn.Linear(in_size, out_size, use_bias=use_bias, key=key)
    return _initialised(layer, in_size, scale, key)


def conv2d(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int = 3,
    stride: int = 1,
    scale: float = 1.0,
    key: Key[Array, ""],
) -> eqx.nn.Conv2d:
    """Convolution of an odd kernel, padded so that stride 1 keeps the size and stride 2 halves it (up)."""
    if kernel_size % 2 == 0:
        raise ValueError(f"`kernel_size` must be odd, so that the output is centred; got {kernel_size}")
    layer = eqx.nn.Conv2d(
        in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, key=key
    )
    return _initialised(layer, in_channels * kernel_size**2, scale, key)


def group_norm(channels: int) -> eqx.nn.GroupNorm:
    """Group normalisation with at most 8 groups of at least 4 channels.

    Source: Wu & He 2018, arXiv:1803.08494. Groups of one channel would make a 1x1 image constant.
    """
    groups = next(
        groups for groups in (8, 7, 6, 5, 4, 3, 2, 1) if channels % groups == 0 and _fits(channels, groups)
    )
    return eqx.nn.GroupNorm(groups, channels)


def apply_linear(layer: eqx.nn.Linear, x: Float[Array, "*rest in_size"]) -> Float[Array, "*rest out_size"]:
    """A linear layer on the last axis: one matrix product, where a vmapped layer may be many."""
    y = x @ layer.weight.T
    return y if layer.bias is None else y + jnp.broadcast_to(layer.bias, y.shape)


def _fits(channels: int, groups: int) -> bool:
    return groups == 1 or channels // groups >= 4


def _initialised(layer: _LAYER, fan_in: int, scale: float, key: Key[Array, ""]) -> _LAYER:
    weight = jax.random.truncated_normal(key, -2.0, 2.0, layer.weight.shape)
    # 0.8796 is the standard deviation of a standard normal cut off at two of them.
    layer = eqx.tree_at(lambda layer: layer.weight, layer, weight * (scale / (0.87962566 * fan_in**0.5)))
    if layer.bias is None:
        return layer
    return eqx.tree_at(lambda layer: layer.bias, layer, jnp.zeros_like(layer.bias))
