"""Residual convolutional networks between an image and a grid of features, for any image size.

Down: a strided convolution takes a side of length n to ceil(n / 2). Up: each pixel becomes a 2x2 block
(sub-pixel convolution, Shi et al. 2016, arXiv:1609.05158), and what exceeds the size of the matching level on the
way down is cut off. So 28 -> 14 -> 7 -> 14 -> 28 and 7 -> 4 -> 2 -> 4 -> 7: no size has to be divisible by anything.
"""

import itertools
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, Num

from artifex.generative_models.core.configuration import ConfigError, ConvDecoderConfig, ConvEncoderConfig
from artifex.generative_models.models.backbones.activations import activation_function
from artifex.generative_models.models.backbones.conditions import check_condition_vector
from artifex.generative_models.models.backbones.convolution import (
    Conv2d,
    GroupNorm,
    channels_first,
    channels_last,
    subpixels,
)
from artifex.generative_models.models.backbones.dtypes import output_dtype
from artifex.generative_models.models.backbones.layers import (
    conv2d,
    group_norm,
    linear,
    subpixel_conv2d,
)
from artifex.generative_models.models.backbones.stack import Stack


class ResidualBlock(eqx.Module):
    """`x + conv(act(norm(conv(act(norm(x))))))`; a condition shifts and scales the second norm's output."""

    norm1: GroupNorm
    conv1: Conv2d
    norm2: GroupNorm
    conv2: Conv2d
    modulation: eqx.nn.Linear | None
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        channels: int,
        *,
        activation: str,
        condition_size: int = 0,
        scale: float = 1.0,
        key: Key[Array, ""],
    ):
        """Build the block.

        Args:
            channels: channels in and out.
            activation: nonlinearity.
            condition_size: length of the condition vector; 0: unconditional.
            scale: factor on the initial weights of the second convolution.
            key: randomness of the weights.
        """
        conv1_key, conv2_key, modulation_key = jax.random.split(key, 3)
        self.norm1 = group_norm(channels)
        self.conv1 = conv2d(channels, channels, key=conv1_key)
        self.norm2 = group_norm(channels)
        self.conv2 = conv2d(channels, channels, scale=scale, key=conv2_key)
        self.modulation = linear(condition_size, 2 * channels, key=modulation_key) if condition_size else None
        self.activation = activation_function(activation)

    def __call__(
        self, x: Float[Array, "h w channels"], condition: Float[Array, " condition_size"] | None
    ) -> Float[Array, "h w channels"]:
        """Apply the block to one grid."""
        h = self.conv1(self.activation(self.norm1(x)))
        h = self.norm2(h)
        if self.modulation is not None:
            if condition is None:
                raise ValueError("the block is conditional: it needs a condition vector")
            scale, shift = jnp.split(self.modulation(condition), 2)
            h = h * (1 + jnp.broadcast_to(scale, h.shape)) + jnp.broadcast_to(shift, h.shape)
        return x + self.conv2(self.activation(h))


class ConvGridEncoder(eqx.Module):
    """Image to a grid of features: per level a strided convolution and residual blocks."""

    down: tuple[Conv2d, ...]
    blocks: tuple[Stack, ...]
    norm: GroupNorm
    out: Conv2d
    activation: Callable[[Array], Array] = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: ConvEncoderConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int,
        out_channels: int,
        key: Key[Array, ""],
    ):
        """Build the network; `grid_shape` says what it returns."""
        level_sizes(event_shape, len(config.channels), type(config).__name__)
        down_key, block_key, out_key = jax.random.split(key, 3)
        widths = (event_shape[0], *config.channels)
        self.down = tuple(
            conv2d(before, after, stride=2, key=jax.random.fold_in(down_key, i))
            for i, (before, after) in enumerate(itertools.pairwise(widths))
        )
        self.blocks = _blocks(config, condition_size, key=block_key)
        self.norm = group_norm(widths[-1])
        self.out = conv2d(widths[-1], out_channels, key=out_key)
        self.activation = activation_function(config.activation)
        self.event_shape = event_shape
        self.condition_size = condition_size

    @property
    def grid_shape(self) -> tuple[int, int, int]:
        """Shape of the output: `(out_channels, h, w)`."""
        return (self.out.out_channels, *level_sizes(self.event_shape, len(self.down))[-1])

    def __call__(
        self, x: Num[Array, "channels height width"], condition_vector: Float[Array, " n"] | None = None
    ) -> Float[Array, "out_channels h w"]:
        """Encode one image."""
        check_condition_vector(condition_vector, self.condition_size)
        dtype, compute = output_dtype(x), self.out.weight.dtype
        h, condition = channels_last(x.astype(compute)), _cast(condition_vector, compute)
        for down, blocks in zip(self.down, self.blocks, strict=True):
            h = blocks(down(h), condition)
        return channels_first(self.out(self.activation(self.norm(h)))).astype(dtype)


class ConvGridDecoder(eqx.Module):
    """A grid of features to an image: per level residual blocks and a sub-pixel convolution."""

    first: Conv2d
    blocks: tuple[Stack, ...]
    norms: tuple[GroupNorm, ...]
    up: tuple[Conv2d, ...]
    activation: Callable[[Array], Array] = eqx.field(static=True)
    grid_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: ConvDecoderConfig,
        grid_shape: tuple[int, ...],
        *,
        condition_size: int,
        out_shape: tuple[int, ...],
        key: Key[Array, ""],
    ):
        """Build the network.

        Raises:
            ConfigError: as many levels up from `grid_shape` do not end at `out_shape`.
        """
        sizes = level_sizes(out_shape, len(config.channels), type(config).__name__)
        if sizes[-1] != tuple(grid_shape[1:]):
            raise ConfigError(
                f"{len(config.channels)} levels lead from {sizes[-1]} up to {sizes[0]}; got a grid of "
                f"{tuple(grid_shape[1:])}. Give encoder and decoder equally many `channels`."
            )
        first_key, block_key, up_key = jax.random.split(key, 3)
        widths = (*config.channels, out_shape[0])
        self.first = conv2d(grid_shape[0], widths[0], key=first_key)
        self.blocks = _blocks(config, condition_size, key=block_key)
        self.norms = tuple(group_norm(width) for width in config.channels)
        self.up = tuple(
            subpixel_conv2d(before, after, key=jax.random.fold_in(up_key, i))
            for i, (before, after) in enumerate(itertools.pairwise(widths))
        )
        self.activation = activation_function(config.activation)
        self.grid_shape, self.out_shape = tuple(grid_shape), tuple(out_shape)
        self.condition_size = condition_size

    def __call__(
        self, z: Float[Array, "channels h w"], condition_vector: Float[Array, " n"] | None = None
    ) -> Float[Array, "out_channels height width"]:
        """Decode one grid."""
        if z.shape != self.grid_shape:
            # A larger grid would be cut off in silence.
            raise ValueError(f"the decoder takes a grid of shape {self.grid_shape}; got {z.shape}")
        check_condition_vector(condition_vector, self.condition_size)
        dtype, compute = output_dtype(z), self.first.weight.dtype
        sizes = level_sizes(self.out_shape, len(self.up))
        h = self.first(channels_last(z.astype(compute)))
        condition = _cast(condition_vector, compute)
        for blocks, norm, up, size in zip(self.blocks, self.norms, self.up, sizes[-2::-1], strict=True):
            h = up(self.activation(norm(blocks(h, condition))))
            h = subpixels(h)[: size[0], : size[1]]
        return channels_first(h).astype(dtype)


def make_grid_encoder(
    config: ConvEncoderConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    out_channels: int,
    key: Key[Array, ""],
) -> ConvGridEncoder:
    """Network from an image `event_shape` to a grid; its `grid_shape` is `(out_channels, h, w)`."""
    return ConvGridEncoder(
        config, event_shape, condition_size=condition_size, out_channels=out_channels, key=key
    )


def make_grid_decoder(
    config: ConvDecoderConfig,
    grid_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    out_shape: tuple[int, ...],
    key: Key[Array, ""],
) -> ConvGridDecoder:
    """Network from a grid `(channels, h, w)` to `out_shape`, `(out_channels, height, width)`."""
    return ConvGridDecoder(config, grid_shape, condition_size=condition_size, out_shape=out_shape, key=key)


def level_sizes(
    image_shape: tuple[int, ...], num_levels: int, config_name: str = "the network"
) -> list[tuple[int, int]]:
    """Height and width at each level: the image's, then halved `num_levels` times, rounding up.

    Raises:
        ConfigError: the shape is not that of an image, or one pixel would be halved.

    >>> level_sizes((1, 28, 7), 2)
    [(28, 7), (14, 4), (7, 2)]
    """
    if len(image_shape) != 3:
        raise ConfigError(
            f"{config_name} needs images (channels, height, width); got shape {tuple(image_shape)}. "
            "Use the `mlp` kind for other shapes."
        )
    sizes = [(image_shape[1], image_shape[2])]
    for _ in range(num_levels):
        if sizes[-1] == (1, 1):
            raise ConfigError(
                f"{config_name} has {num_levels} levels, but {sizes[0][0]}x{sizes[0][1]} can be halved only "
                f"{len(sizes) - 1} times: give at most so many `channels`"
            )
        sizes.append((-(-sizes[-1][0] // 2), -(-sizes[-1][1] // 2)))
    return sizes


def _blocks(
    config: ConvEncoderConfig | ConvDecoderConfig, condition_size: int, *, key: Key[Array, ""]
) -> tuple[Stack, ...]:
    # Residual branches add up, so each starts smaller the more there are.
    scale = (len(config.channels) * config.num_blocks) ** -0.5

    def level(channels: int, key: Key[Array, ""]) -> Stack:
        return Stack(
            lambda key: ResidualBlock(
                channels,
                activation=config.activation,
                condition_size=condition_size,
                scale=scale,
                key=key,
            ),
            config.num_blocks,
            key=key,
        )

    return tuple(level(width, jax.random.fold_in(key, i)) for i, width in enumerate(config.channels))


def _cast(vector: Array | None, dtype: jnp.dtype) -> Array | None:
    return None if vector is None else vector.astype(dtype)
