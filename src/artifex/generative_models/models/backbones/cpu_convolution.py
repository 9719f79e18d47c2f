"""Convolution whose derivatives are fast on CPUs, inside of loops too.

XLA's CPU backend has a fast kernel for one layout only: image (N, H, W, C), kernel (height, width, C, O). Outside of
loops it rewrites other layouts to this one; inside it does not, and falls back to plain nested loops, 12 to 40 times
slower (jax 0.10.2). Every training step and sampler of this library is a loop. JAX's own derivative rules leave
that layout, so `nhwc_convolution` is a primitive with its own. With stride s, image dilation d and kernel dilation r,
along one axis,

    y[i] = sum_a x'[s i + r a - low] kernel[a]      x': x with d - 1 zeros between its pixels

and both derivatives are convolutions of the same kind: in that of `x` the kernel is turned round and s and d change
places; in that of the kernel examples and channels do, and `dy` and `x` stand for kernel and image. So derivatives of
any order and mode exist.
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
    kernel_dilation: int = 1,
) -> Float[Array, "n h w out_channels"]:
    """Cross-correlate images with a kernel.

    Args:
        x: images, channels last.
        kernel: weights.
        stride: distance of neighbouring outputs, in pixels of the padded image.
        padding: rows of zeros above and below, columns left and right.
        dilation: distance at which the pixels of `x` are set before padding, with zeros between.
        kernel_dilation: the same of the kernel.
    """
    return _convolution_p.bind(
        x, kernel, stride=stride, padding=padding, dilation=dilation, kernel_dilation=kernel_dilation
    )


def _convolve(
    x: Array, kernel: Array, *, stride: int, padding: Padding, dilation: int, kernel_dilation: int
) -> Array:
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        window_strides=(stride, stride),
        padding=padding,
        lhs_dilation=(dilation, dilation),
        rhs_dilation=(kernel_dilation, kernel_dilation),
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


def _convolve_to(
    sizes: tuple[int, ...],
    image: Array,
    kernel: Array,
    *,
    low: tuple[int, int],
    stride: int,
    dilation: int,
    kernel_dilation: int,
) -> Array:
    """Convolve with as much padding at the far ends as gives outputs of these sizes."""
    extents = zip(sizes, image.shape[1:3], kernel.shape[:2], low, strict=True)
    rows, columns = (
        (before, stride * (size - 1) + kernel_dilation * (reach - 1) - dilation * (pixels - 1) - before)
        for size, pixels, reach, before in extents
    )
    return nhwc_convolution(
        image,
        kernel,
        stride=stride,
        padding=(rows, columns),
        dilation=dilation,
        kernel_dilation=kernel_dilation,
    )


def _turned_low(kernel: Any, padding: Padding, kernel_dilation: int) -> tuple[int, int]:
    """Padding before a cotangent that a kernel turned round moves over."""
    rows, columns = (
        kernel_dilation * (reach - 1) - low for reach, (low, _) in zip(kernel.shape[:2], padding, strict=True)
    )
    return rows, columns


def _x_cotangent(
    dy: Array, x: Any, kernel: Array, *, stride: int, padding: Padding, dilation: int, kernel_dilation: int
) -> Array:
    return _convolve_to(
        x.aval.shape[1:3],
        dy,
        kernel[::-1, ::-1].transpose(0, 1, 3, 2),
        low=_turned_low(kernel, padding, kernel_dilation),
        stride=dilation,
        dilation=stride,
        kernel_dilation=kernel_dilation,
    )


def _kernel_cotangent(
    dy: Array, x: Array, kernel: Any, *, stride: int, padding: Padding, dilation: int, kernel_dilation: int
) -> Array:
    """`dw[a] = sum_{n, i} x'[n, s i + r a - low] dy[n, i]`, with either of the two as the image.

    The fast kernel copies the image once for each place of the kernel, so the one with fewer channels is the image; but
    zeros between its pixels, as `dy` would have of a stride, are slow.
    """
    rows, columns, in_channels, out_channels = kernel.aval.shape
    if in_channels <= out_channels or stride > 1:
        dw = _convolve_to(
            (rows, columns),
            x.transpose(3, 1, 2, 0),
            dy.transpose(1, 2, 0, 3),
            low=(padding[0][0], padding[1][0]),
            stride=kernel_dilation,
            dilation=dilation,
            kernel_dilation=stride,
        )
        return dw.transpose(1, 2, 0, 3)
    turned = _convolve_to(
        (rows, columns),
        dy.transpose(3, 1, 2, 0),
        x.transpose(1, 2, 0, 3),
        low=_turned_low(kernel.aval, padding, kernel_dilation),
        stride=kernel_dilation,
        dilation=stride,
        kernel_dilation=dilation,
    )
    return turned[:, ::-1, ::-1].transpose(1, 2, 3, 0)


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
_convolution_p.def_impl(
    jax.jit(_convolve, static_argnames=("stride", "padding", "dilation", "kernel_dilation"))
)
_convolution_p.def_abstract_eval(_shape)
mlir.register_lowering(_convolution_p, mlir.lower_fun(_convolve, multiple_results=False))
ad.defbilinear(_convolution_p, _x_cotangent, _kernel_cotangent)
batching.primitive_batchers[_convolution_p] = _batch
