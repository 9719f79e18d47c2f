"""Convolutions from the entries that a coupling keeps to the parameters of those that it maps."""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import ImageCouplingConfig
from artifex.generative_models.models.backbones.activations import activation_function
from artifex.generative_models.models.backbones.bijections.base import Condition
from artifex.generative_models.models.backbones.convolution import (
    Conv2d,
    GroupNorm,
    channels_first,
    channels_last,
)
from artifex.generative_models.models.backbones.convolutional import ResidualBlock
from artifex.generative_models.models.backbones.layers import conv2d, group_norm
from artifex.generative_models.models.backbones.stack import Stack


class ConvConditioner(eqx.Module):
    """A convolution, residual blocks of equal size, and a convolution that is zero at first.

    Without blocks it is that last convolution alone.

    Attributes:
        context_shape: of the image with which the condition vector begins; it is seen beside the input.
    """

    first: Conv2d | None
    blocks: Stack | None
    norm: GroupNorm | None
    out: Conv2d
    activation: Callable[[Array], Array] = eqx.field(static=True)
    context_shape: tuple[int, int, int] = eqx.field(static=True)

    def __init__(
        self,
        config: ImageCouplingConfig,
        in_channels: int,
        out_channels: int,
        size: tuple[int, int],
        *,
        condition_size: int,
        key: Key[Array, ""],
    ):
        """Build the network.

        Args:
            config: its width and depth.
            in_channels: channels of the input.
            out_channels: channels of the output.
            size: height and width of both.
            condition_size: length of the condition vector; 0: none.
            key: randomness of the weights.

        Raises:
            ValueError: the condition is shorter than the image with which it begins.
        """
        first_key, block_key, out_key = jax.random.split(key, 3)
        self.context_shape = (config.condition_channels, *size)
        rest_size = condition_size - math.prod(self.context_shape)
        if rest_size < 0:
            raise ValueError(
                f"`condition_channels` {config.condition_channels} need a condition of at least "
                f"{math.prod(self.context_shape)} numbers at size {size[0]}x{size[1]}; got {condition_size}"
            )
        self.activation = activation_function(config.activation)
        self.first, self.blocks, self.norm = None, None, None
        width = in_channels
        if config.num_blocks:
            width = config.hidden_channels
            self.first = conv2d(in_channels + config.condition_channels, width, key=first_key)
            self.blocks = Stack(
                lambda key: ResidualBlock(
                    width,
                    activation=config.activation,
                    condition_size=rest_size,
                    scale=config.num_blocks**-0.5,
                    key=key,
                ),
                config.num_blocks,
                key=block_key,
            )
            self.norm = group_norm(width)
        self.out = conv2d(width, out_channels, scale=0.0, key=out_key)

    def __call__(
        self, x: Float[Array, "in_channels h w"], condition: Condition | None
    ) -> Float[Array, "out_channels h w"]:
        """Apply it to one image, in the type of the weights."""
        dtype, h = x.dtype, channels_last(x.astype(self.out.weight.dtype))
        if self.first is None or self.blocks is None or self.norm is None:
            return channels_first(self.out(h)).astype(dtype)
        vector = None
        if condition is not None:
            num = math.prod(self.context_shape)
            condition = condition.astype(h.dtype)
            context = channels_last(condition[:num].reshape(self.context_shape))
            h = jnp.concatenate([h, context], axis=2)
            vector = condition[num:] if condition.size > num else None
        h = self.blocks(self.first(h), vector)
        return channels_first(self.out(self.activation(self.norm(h)))).astype(dtype)
