"""Two-dimensional convolution of one image, fast on every backend."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.models.backbones.cpu_convolution import nhwc_convolution


class Conv2d(eqx.Module):
    """Convolution with an odd kernel, padded so that stride 1 keeps the size and stride 2 halves it (up).

    Attributes:
        weight: kernel, shape `(out_channels, in_channels, rows, columns)`; one row for sequences, as images of one row.
        bias: one number for each output channel.
        stride: distance of neighbouring outputs, in pixels.
        padding: rows of zeros above and below, and columns left and right, along axes where the kernel is longer than
            1; None: half the kernel on each side.
    """

    weight: Float[Array, "out_channels in_channels rows columns"]
    bias: Float[Array, " out_channels"]
    stride: int = eqx.field(static=True, default=1)
    padding: tuple[int, int] | None = eqx.field(static=True, default=None)

    @property
    def out_channels(self) -> int:
        """Channels of the output."""
        return self.weight.shape[0]

    def __call__(self, x: Float[Array, "in_channels height width"]) -> Float[Array, "out_channels h w"]:
        """Convolve one image."""
        if x.shape[0] != self.weight.shape[1]:
            raise ValueError(f"the convolution takes {self.weight.shape[1]} channels; got {x.shape[0]}")
        convolve = cpu_convolution if jax.default_backend() == "cpu" else convolution
        y = convolve(x, self.weight, self.stride, self.padding)
        return y + jnp.broadcast_to(self.bias[:, None, None], y.shape)


def convolution(
    x: Float[Array, "in_channels height width"],
    weight: Float[Array, "out_channels in_channels rows columns"],
    stride: int,
    padding: tuple[int, int] | None = None,
) -> Float[Array, "out_channels h w"]:
    """The primitive of XLA."""
    y = jax.lax.conv_general_dilated(
        x[None],
        weight,
        window_strides=(stride, stride),
        padding=_padding(weight, padding),
        dimension_numbers=("NCHW", "OIHW", "NCHW"),
    )
    return y[0]


def cpu_convolution(
    x: Float[Array, "in_channels height width"],
    weight: Float[Array, "out_channels in_channels rows columns"],
    stride: int,
    padding: tuple[int, int] | None = None,
) -> Float[Array, "out_channels h w"]:
    """The same in the layout that XLA is fast with on CPUs."""
    y = nhwc_convolution(
        x.transpose(1, 2, 0)[None],
        weight.transpose(2, 3, 1, 0),
        stride=stride,
        padding=_padding(weight, padding),
    )
    return y[0].transpose(2, 0, 1)


def _padding(weight: Array, padding: tuple[int, int] | None) -> tuple[tuple[int, int], tuple[int, int]]:
    def along(size: int) -> tuple[int, int]:
        if size == 1:
            return 0, 0
        return (size // 2, size // 2) if padding is None else padding

    rows, columns = weight.shape[2:]
    return along(rows), along(columns)
