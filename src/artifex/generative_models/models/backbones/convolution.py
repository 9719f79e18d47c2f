"""Grids of features, channels last, and their convolution and normalisation, fast on every backend.

Images are (channels, height, width) everywhere else in this library. Networks turn them round once where they come in
and once where they leave: so channels lie side by side in memory, as the fast convolutions of CPUs and GPUs want them.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from artifex.generative_models.models.backbones.cpu_convolution import nhwc_convolution


def channels_last(image: Num[Array, "channels height width"]) -> Num[Array, "height width channels"]:
    """An image as a grid of features."""
    return image.transpose(1, 2, 0)


def channels_first(grid: Num[Array, "height width channels"]) -> Num[Array, "channels height width"]:
    """A grid of features as an image."""
    return grid.transpose(2, 0, 1)


def subpixels(grid: Float[Array, "h w four_channels"]) -> Float[Array, "two_h two_w channels"]:
    """Four channels become 2x2 blocks of pixels, as in `layers.pixel_shuffle` of an image.

    Source: Shi et al. 2016, arXiv:1609.05158.
    """
    height, width, channels = grid.shape
    blocks = grid.reshape(height, width, channels // 4, 2, 2)
    return blocks.transpose(0, 3, 1, 4, 2).reshape(2 * height, 2 * width, channels // 4)


class Conv2d(eqx.Module):
    """Convolution with an odd kernel, padded so that stride 1 keeps the size and stride 2 halves it (up).

    Attributes:
        weight: kernel, shape `(out_channels, in_channels, rows, columns)`; one row for sequences, as grids of one row.
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

    def __call__(self, x: Float[Array, "height width in_channels"]) -> Float[Array, "h w out_channels"]:
        """Convolve one grid."""
        if x.shape[2] != self.weight.shape[1]:
            raise ValueError(f"the convolution takes {self.weight.shape[1]} channels; got {x.shape[2]}")
        y = self._products(x)
        return y + jnp.broadcast_to(self.bias, y.shape)

    def _products(self, x: Float[Array, "height width in_channels"]) -> Float[Array, "h w out_channels"]:
        # As a convolution, the derivative of a kernel of one pixel would have a kernel as large as the grid.
        if self.weight.shape[2:] == (1, 1) and self.stride == 1:
            return x @ self.weight[:, :, 0, 0].T
        convolve = cpu_convolution if jax.default_backend() == "cpu" else convolution
        return convolve(x, self.weight, self.stride, self.padding)


def convolution(
    x: Float[Array, "height width in_channels"],
    weight: Float[Array, "out_channels in_channels rows columns"],
    stride: int,
    padding: tuple[int, int] | None = None,
) -> Float[Array, "h w out_channels"]:
    """The primitive of XLA."""
    y = jax.lax.conv_general_dilated(
        x[None],
        weight,
        window_strides=(stride, stride),
        padding=_padding(weight, padding),
        dimension_numbers=("NHWC", "OIHW", "NHWC"),
    )
    return y[0]


def cpu_convolution(
    x: Float[Array, "height width in_channels"],
    weight: Float[Array, "out_channels in_channels rows columns"],
    stride: int,
    padding: tuple[int, int] | None = None,
) -> Float[Array, "h w out_channels"]:
    """The same, with derivatives that are fast on CPUs."""
    kernel = weight.transpose(2, 3, 1, 0)
    return nhwc_convolution(x[None], kernel, stride=stride, padding=_padding(weight, padding))[0]


def _padding(weight: Array, padding: tuple[int, int] | None) -> tuple[tuple[int, int], tuple[int, int]]:
    def along(size: int) -> tuple[int, int]:
        if size == 1:
            return 0, 0
        return (size // 2, size // 2) if padding is None else padding

    rows, columns = weight.shape[2:]
    return along(rows), along(columns)


class GroupNorm(eqx.Module):
    """Zero mean and unit variance over the pixels and channels of each group, then an affine map of each channel.

    Computed in float32, whatever the type of the grid. Source: Wu & He 2018, arXiv:1803.08494.

    Attributes:
        weight: factor of each channel.
        bias: offset of each channel.
        groups: how many groups; neighbouring channels are in one.
        eps: added to the variance.
    """

    weight: Float[Array, " channels"]
    bias: Float[Array, " channels"]
    groups: int = eqx.field(static=True)
    eps: float = eqx.field(static=True)

    def __init__(self, groups: int, channels: int, eps: float = 1e-5):
        """Factors one, offsets zero.

        Raises:
            ValueError: the groups do not divide the channels.
        """
        if channels % groups:
            raise ValueError(f"the number of groups must divide {channels} channels; got {groups}")
        self.weight, self.bias = jnp.ones(channels), jnp.zeros(channels)
        self.groups, self.eps = groups, eps

    def __call__(self, x: Float[Array, "height width channels"]) -> Float[Array, "height width channels"]:
        """Normalise one grid."""
        full = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        centred = full - self._mean(full)
        scale = jax.lax.rsqrt(self._mean(centred**2) + self.eps) * self.weight[None, None]
        return (centred * scale + jnp.broadcast_to(self.bias, x.shape)).astype(x.dtype)

    def _mean(self, x: Float[Array, "height width channels"]) -> Float[Array, "1 1 channels"]:
        """Of each channel's group: over pixels first, along which CPUs add whole rows of channels."""
        of_channels = jnp.mean(x, axis=(0, 1)).reshape(self.groups, -1)
        return jnp.repeat(jnp.mean(of_channels, axis=1), x.shape[2] // self.groups)[None, None]
