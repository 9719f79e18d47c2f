"""Layers with the initialisation that all backbones share: LeCun-normal weights, zero biases.

The networks of flows alone begin smaller, with biases: see `uniform_linear`.

`scale` multiplies the standard deviation of the weights. Norms compute in float32, whatever their input's type.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.models.backbones.convolution import Conv2d, GroupNorm
from artifex.generative_models.models.backbones.weights import truncated_normal_weights, uniform_weights


def linear(
    in_size: int, out_size: int, *, scale: float = 1.0, use_bias: bool = True, key: Key[Array, ""]
) -> eqx.nn.Linear:
    """Affine map of a vector `(in_size,)` to `(out_size,)`."""
    # Equinox's own draws, not used, would be compiled too: so its layer is made of shapes, then filled.
    layer = eqx.filter_eval_shape(eqx.nn.Linear, in_size, out_size, use_bias=use_bias, key=key)
    layer = eqx.tree_at(lambda layer: layer.weight, layer, _weight(layer.weight.shape, in_size, scale, key))
    return eqx.tree_at(lambda layer: layer.bias, layer, jnp.zeros(out_size)) if use_bias else layer


def uniform_linear(
    in_size: int, out_size: int, *, scale: float = 1.0, use_bias: bool = True, key: Key[Array, ""]
) -> eqx.nn.Linear:
    """Affine map whose weights and biases are uniform in (-limit, limit), limit = scale / sqrt(in_size).

    So PyTorch begins, with which spline flows were published (Durkan et al. 2019, arXiv:1906.04032). On small tables
    they generalise better than from `linear`, whose weights are sqrt(3) times as large (`benchmarks.flow_tables`).
    """
    layer = eqx.filter_eval_shape(eqx.nn.Linear, in_size, out_size, use_bias=use_bias, key=key)
    weight_key, bias_key = jax.random.split(key)
    limit = scale / in_size**0.5
    weight = uniform_weights((out_size, in_size), limit, key=weight_key)
    bias = uniform_weights((out_size,), limit, key=bias_key) if use_bias else None
    return eqx.tree_at(
        lambda layer: (layer.weight, layer.bias), layer, (weight, bias), is_leaf=lambda leaf: leaf is None
    )


def conv2d(
    in_channels: int,
    out_channels: int,
    *,
    kernel_size: int | tuple[int, int] = 3,
    stride: int = 1,
    scale: float = 1.0,
    key: Key[Array, ""],
) -> Conv2d:
    """Convolution of an odd kernel, padded so that stride 1 keeps the size and stride 2 halves it (up).

    A kernel of size `(1, columns)` is that of sequences, as images of one row.
    """
    rows, columns = (kernel_size, kernel_size) if isinstance(kernel_size, int) else kernel_size
    if rows % 2 == 0 or columns % 2 == 0:
        raise ValueError(f"`kernel_size` must be odd, so that the output is centred; got {kernel_size}")
    shape = (out_channels, in_channels, rows, columns)
    return Conv2d(_weight(shape, in_channels * rows * columns, scale, key), jnp.zeros(out_channels), stride)


def subpixel_conv2d(in_channels: int, out_channels: int, *, key: Key[Array, ""]) -> Conv2d:
    """Convolution to `4 * out_channels` for `subpixels`, at first nearest-neighbour upsampling.

    Source: Shi et al. 2016, arXiv:1609.05158; the initialisation without checkerboards is that of Aitken et al.
    2017, arXiv:1707.02937.
    """
    weight = _weight((out_channels, in_channels, 3, 3), in_channels * 9, 1.0, key)
    return Conv2d(jnp.repeat(weight, 4, axis=0), jnp.zeros(4 * out_channels))


def pixel_shuffle(x: Float[Array, "four_channels h w"]) -> Float[Array, "channels two_h two_w"]:
    """Four channels become 2x2 blocks of pixels: channel `4 c + 2 i + j` goes to pixel `(2h + i, 2w + j)`."""
    channels, height, width = x.shape
    x = x.reshape(channels // 4, 2, 2, height, width)
    return x.transpose(0, 3, 1, 4, 2).reshape(channels // 4, 2 * height, 2 * width)


def pixel_unshuffle(x: Float[Array, "channels two_h two_w"]) -> Float[Array, "four_channels h w"]:
    """2x2 blocks of pixels become four channels: the inverse of `pixel_shuffle`; both sides are even."""
    channels, height, width = x.shape
    x = x.reshape(channels, height // 2, 2, width // 2, 2)
    return x.transpose(0, 2, 4, 1, 3).reshape(4 * channels, height // 2, width // 2)


def group_norm(channels: int) -> GroupNorm:
    """Group normalisation with at most 8 groups of at least 4 channels.

    Groups of one channel would make a 1x1 grid constant.
    """
    groups = next(
        groups for groups in (8, 7, 6, 5, 4, 3, 2, 1) if channels % groups == 0 and _fits(channels, groups)
    )
    return GroupNorm(groups, channels)


def apply_linear(layer: eqx.nn.Linear, x: Float[Array, "*rest in_size"]) -> Float[Array, "*rest out_size"]:
    """A linear layer on the last axis: one matrix product, where a vmapped layer may be many."""
    y = x @ layer.weight.T
    return y if layer.bias is None else y + jnp.broadcast_to(layer.bias, y.shape)


def apply_linear_first(
    layer: eqx.nn.Linear, x: Float[Array, "in_size *rest"]
) -> Float[Array, "out_size *rest"]:
    """A linear layer on the first axis: one matrix product."""
    y = jnp.tensordot(layer.weight, x, 1)
    return y if layer.bias is None else y + layer.bias.reshape(-1, *[1] * (y.ndim - 1))


def normalized(h: Float[Array, "tokens size"], *, epsilon: float = 1e-6) -> Float[Array, "tokens size"]:
    """Zero mean and unit variance over the features of each token, computed in float32."""
    full = h.astype(jnp.float32)
    centred = full - jnp.mean(full, axis=1, keepdims=True)
    variance = jnp.mean(centred**2, axis=1, keepdims=True)
    return (centred * jax.lax.rsqrt(variance + epsilon)).astype(h.dtype)


def _fits(channels: int, groups: int) -> bool:
    return groups == 1 or channels // groups >= 4


def _weight(shape: tuple[int, ...], fan_in: int, scale: float, key: Key[Array, ""]) -> Float[Array, "..."]:
    return truncated_normal_weights(shape, scale / fan_in**0.5, key=key)
