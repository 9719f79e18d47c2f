"""Convolution whose derivatives are fast on CPUs, inside of loops too.

XLA's CPU backend has a fast kernel for one layout only: image (N, H, W, C), kernel (height, width, C, O). Outside of
loops it rewrites other layouts to this one; inside it does not, and falls back to plain nested loops, 12 to 40 times
slower (jax 0.10.2). Every training step and sampler of this library is a loop. JAX's own derivative rules leave
that layout, so `nhwc_convolution` is a primitive with its own:

    d/dx   the same convolution of the cotangent with the kernel turned round, in the fast layout
    d/dw   a matrix product, as no layout makes a convolution of that size fast

The rules are written in terms of the primitive and of products, so derivatives of any order and mode exist.
"""

from typing import Any

import jax
import jax.core
import jax.numpy as jnp
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

Padding = tuple[tuple[int, int], tuple[int, int]]


def nhwc_convolution(
    x: Float[Array, "n height width in_channels"],
    kernel: Float[Array, "rows columns in_channels out_channels"],
    *,
    stride: int = 1,
    padding: Padding,
    dilation: int = 1,
) -> Float[Array, "n h w out_channels"]:
    """Cross-correlate images with a kernel.

    Args:
        x: images, channels last.
        kernel: weights.
        stride: distance of neighbouring outputs, in pixels of the padded image.
        padding: rows of zeros above and below, columns left and right.
        dilation: distance at which the pixels of `x` are set before padding, with zeros between.
    """
    return _convolution_p.bind(x, kernel, stride=stride, padding=padding, dilation=dilation)


def _convolve(x: Array, kernel: Array, *, stride: int, padding: Padding, dilation: int) -> Array:
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=padding,
        lhs_dilation=(dilation, dilation),
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _shape(x: Any, kernel: Any, **parameters: Any) -> Any:
    return jax.core.ShapedArray(*_shape_and_dtype(x, kernel, **parameters))


def _shape_and_dtype(x: Any, kernel: Any, **parameters: Any) -> tuple[tuple[int, ...], Any]:
    out = jax.eval_shape(
        lambda x, kernel: _convolve(x, kernel, **parameters),
        jax.ShapeDtypeStruct(x.shape, x.dtype),
        jax.ShapeDtypeStruct(kernel.shape, kernel.dtype),
    )
    return out.shape, out.dtype


def _x_cotangent(dy: Array, x: Any, kernel: Array, *, stride: int, padding: Padding, dilation: int) -> Array:
    """Strides and dilations change places; the padding is what gives `x` its size."""
    sizes = zip(x.aval.shape[1:3], kernel.shape[:2], dy.shape[1:3], padding, strict=True)
    back = []
    for size, reach, out, (low, _) in sizes:
        dilated = (size - 1) * dilation + 1
        before = reach - 1 - low
        back.append((before, dilated + reach - 1 - before - ((out - 1) * stride + 1)))
    turned = kernel[::-1, ::-1].transpose(0, 1, 3, 2)
    return nhwc_convolution(dy, turned, stride=dilation, padding=tuple(back), dilation=stride)


def _kernel_cotangent(
    dy: Array, x: Array, kernel: Any, *, stride: int, padding: Padding, dilation: int
) -> Array:
    """`dw[a, b] = sum_{n,i,j} x[n, s i + a, s j + b, :] dy[n, i, j, :]`, as a product of two matrices.

    The right one has a row for each pixel, in which the rows `a` of the kernel stand side by side. The left one, with a
    column for each pixel, is `dy` turned round, once for each column `b` of the kernel, moved by as many zeros: XLA's
    products want it in this order in memory, and would turn the larger one otherwise.
    """
    inner = dilation - 1
    zero = jnp.zeros((), x.dtype)
    padded = jax.lax.pad(x, zero, ((0, 0, 0), *((low, high, inner) for low, high in padding), (0, 0, 0)))
    rows, columns, in_channels, out_channels = kernel.aval.shape
    height, width = dy.shape[1:3]
    shifted = jnp.concatenate([_strided(padded, a, height, stride, axis=1) for a in range(rows)], axis=3)
    turned = dy.transpose(3, 0, 1, 2)
    if stride == 1:
        moved = [jnp.pad(turned, ((0, 0), (0, 0), (0, 0), (b, columns - 1 - b))) for b in range(columns)]
        left = jnp.stack(moved).reshape(columns * out_channels, -1)
        product = left @ shifted.reshape(-1, rows * in_channels)
    else:
        # Columns of pixels that are not neighbours: as many products.
        left = turned.reshape(out_channels, -1)
        parts = [_strided(shifted, b, width, stride, axis=2) for b in range(columns)]
        product = jnp.stack([left @ part.reshape(-1, rows * in_channels) for part in parts])
    return product.reshape(columns, out_channels, rows, in_channels).transpose(2, 0, 3, 1)


def _strided(x: Array, start: int, count: int, stride: int, *, axis: int) -> Array:
    return jax.lax.slice_in_dim(x, start, start + stride * (count - 1) + 1, stride, axis=axis)


def _batch(arguments: Any, axes: Any, **parameters: Any) -> tuple[Array, int]:
    """A batch of images joins the images, a batch of kernels the output channels; both go one after the other."""
    x, kernel = arguments
    x_axis, kernel_axis = axes
    if kernel_axis is None:
        x = jnp.moveaxis(x, x_axis, 0)
        y = nhwc_convolution(x.reshape(-1, *x.shape[2:]), kernel, **parameters)
        return y.reshape(*x.shape[:2], *y.shape[1:]), 0
    if x_axis is None:
        kernel = jnp.moveaxis(kernel, kernel_axis, 3)
        y = nhwc_convolution(x, kernel.reshape(*kernel.shape[:3], -1), **parameters)
        return y.reshape(*y.shape[:3], *kernel.shape[3:]), 3
    pairs = jnp.moveaxis(x, x_axis, 0), jnp.moveaxis(kernel, kernel_axis, 0)
    return jax.lax.map(lambda pair: nhwc_convolution(*pair, **parameters), pairs), 0


_convolution_p = Primitive("nhwc_convolution")
_convolution_p.def_impl(jax.jit(_convolve, static_argnames=("stride", "padding", "dilation")))
_convolution_p.def_abstract_eval(_shape)
mlir.register_lowering(_convolution_p, mlir.lower_fun(_convolve, multiple_results=False))
ad.defbilinear(_convolution_p, _x_cotangent, _kernel_cotangent)
batching.primitive_batchers[_convolution_p] = _batch
