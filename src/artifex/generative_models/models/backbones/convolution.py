"""Two-dimensional convolution of one image, fast on every backend.

XLA's CPU backend runs a convolution inside a loop by plain nested loops: measured on 32 channels of 14x14, a training
step inside `lax.scan` took 15 times as long as outside. Every training step and sampler of this library is a loop,
so on CPUs a convolution is written as a sum of matrix products, one for each pixel of the kernel,

    y[o, i, j] = sum_{a, b} sum_c  w[o, c, a, b] x[c, s i + a - p, s j + b - p],

which costs the same in and out of loops. GPUs and TPUs get the convolution itself.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class Conv2d(eqx.Module):
    """Convolution with an odd kernel, padded so that stride 1 keeps the size and stride 2 halves it (up).

    Attributes:
        weight: kernel, shape `(out_channels, in_channels, size, size)`.
        bias: one number for each output channel.
        stride: distance of neighbouring outputs, in pixels.
    """

    weight: Float[Array, "out_channels in_channels size size"]
    bias: Float[Array, " out_channels"]
    stride: int = eqx.field(static=True, default=1)

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.weight.shape[0]

    def __call__(self, x: Float[Array, "in_channels height width"]) -> Float[Array, "out_channels h w"]:
        """Convolve one image."""
        if x.shape[0] != self.weight.shape[1]:
            raise ValueError(f"the convolution takes {self.weight.shape[1]} channels; got {x.shape[0]}")
        convolve = shifted_products if jax.default_backend() == "cpu" else convolution
        y = convolve(x, self.weight, self.stride)
        return y + jnp.broadcast_to(self.bias[:, None, None], y.shape)


def convolution(
    x: Float[Array, "in_channels height width"],
    weight: Float[Array, "out_channels in_channels size size"],
    stride: int,
) -> Float[Array, "out_channels h w"]:
    """The primitive of XLA."""
    padding = weight.shape[-1] // 2
    y = jax.lax.conv_general_dilated(
        x[None],
        weight,
        window_strides=(stride, stride),
        padding=((padding, padding), (padding, padding)),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )
    return y[0]


def shifted_products(
    x: Float[Array, "in_channels height width"],
    weight: Float[Array, "out_channels in_channels size size"],
    stride: int,
) -> Float[Array, "out_channels h w"]:
    """The same by matrix products over the channels, which stand last meanwhile."""
    size = weight.shape[-1]
    padding = size // 2
    height, width = (-(-length // stride) for length in x.shape[1:])
    padded = jnp.pad(x.transpose(1, 2, 0), ((padding, padding), (padding, padding), (0, 0)))
    y = jnp.zeros((height, width, weight.shape[0]), jnp.result_type(x, weight))
    for a in range(size):
        for b in range(size):
            rows = slice(a, a + stride * (height - 1) + 1, stride)
            columns = slice(b, b + stride * (width - 1) + 1, stride)
            y = y + padded[rows, columns] @ weight[:, :, a, b].T
    return y.transpose(2, 0, 1)
