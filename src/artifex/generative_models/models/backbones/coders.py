"""Encoders from one example to a vector and decoders from a vector to an example, made from their configs."""

import functools
import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import (
    ConvDecoderConfig,
    ConvEncoderConfig,
    DecoderConfig,
    EncoderConfig,
    MLPDecoderConfig,
    MLPEncoderConfig,
)
from artifex.generative_models.models.backbones.conditions import check_condition_vector
from artifex.generative_models.models.backbones.convolutional import (
    ConvGridDecoder,
    ConvGridEncoder,
    level_sizes,
)
from artifex.generative_models.models.backbones.dtypes import output_dtype
from artifex.generative_models.models.backbones.layers import linear
from artifex.generative_models.models.backbones.mlp import MLP


class MLPEncoder(eqx.Module):
    """The flattened example, beside the condition, through an MLP."""

    mlp: MLP
    condition_size: int = eqx.field(static=True)

    def __call__(
        self, x: Array, condition_vector: Float[Array, " n"] | None = None
    ) -> Float[Array, " out_size"]:
        """Encode one example."""
        dtype = output_dtype(x)
        return self.mlp(_joined(x.ravel().astype(dtype), condition_vector, self.condition_size))


class MLPDecoder(eqx.Module):
    """Latents, beside the condition, through an MLP to any shape."""

    mlp: MLP
    condition_size: int = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)

    def __call__(
        self, z: Float[Array, " in_size"], condition_vector: Float[Array, " n"] | None = None
    ) -> Float[Array, "..."]:
        """Decode one vector of latents to `out_shape`."""
        return self.mlp(_joined(z, condition_vector, self.condition_size)).reshape(self.out_shape)


class ConvEncoder(eqx.Module):
    """A grid encoder, whose features one affine map takes to a vector."""

    grid: ConvGridEncoder
    out: eqx.nn.Linear

    def __call__(
        self, x: Array, condition_vector: Float[Array, " n"] | None = None
    ) -> Float[Array, " out_size"]:
        """Encode one image."""
        dtype = output_dtype(x)
        features = self.grid(x, condition_vector).astype(self.out.weight.dtype)
        return self.out(self.grid.activation(features).ravel()).astype(dtype)


class ConvDecoder(eqx.Module):
    """One affine map of latents and condition to a grid, then a grid decoder."""

    first: eqx.nn.Linear
    grid: ConvGridDecoder

    def __call__(
        self, z: Float[Array, " in_size"], condition_vector: Float[Array, " n"] | None = None
    ) -> Float[Array, "channels height width"]:
        """Decode one vector of latents to an image."""
        joined = _joined(z, condition_vector, self.grid.condition_size).astype(self.first.weight.dtype)
        features = self.first(joined).reshape(self.grid.grid_shape)
        return self.grid(features, condition_vector).astype(z.dtype)


@functools.singledispatch
def make_encoder(
    config: EncoderConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    out_size: int,
    key: Key[Array, ""],
) -> Callable[..., Array]:
    """Network `(x, condition_vector) -> (out_size,)` for one example `x`.

    Args:
        config: kind and sizes of the network. Register another kind with `make_encoder.register`.
        event_shape: shape of `x`.
        condition_size: length of the condition vector; 0: unconditional.
        out_size: length of the output.
        key: randomness of the weights.

    Raises:
        ConfigError: a convolutional encoder for what is not an image, or with more levels than it can halve.
    """
    raise TypeError(
        f"no encoder is known for {type(config).__name__}: register it with make_encoder.register"
    )


@make_encoder.register
def _(
    config: MLPEncoderConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    out_size: int,
    key: Key[Array, ""],
) -> MLPEncoder:
    in_size = math.prod(event_shape) + condition_size
    mlp = MLP(in_size, out_size, hidden_sizes=config.hidden_sizes, activation=config.activation, key=key)
    return MLPEncoder(mlp, condition_size)


@make_encoder.register
def _(
    config: ConvEncoderConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int = 0,
    out_size: int,
    key: Key[Array, ""],
) -> ConvEncoder:
    grid_key, out_key = jax.random.split(key)
    grid = ConvGridEncoder(
        config, event_shape, condition_size=condition_size, out_channels=config.channels[-1], key=grid_key
    )
    return ConvEncoder(grid, linear(math.prod(grid.grid_shape), out_size, key=out_key))


@functools.singledispatch
def make_decoder(
    config: DecoderConfig,
    in_size: int,
    *,
    condition_size: int = 0,
    out_shape: tuple[int, ...],
    key: Key[Array, ""],
) -> Callable[..., Array]:
    """Network `(z, condition_vector) -> out_shape` for one vector `z`.

    Args:
        config: kind and sizes of the network. Register another kind with `make_decoder.register`.
        in_size: length of `z`.
        condition_size: length of the condition vector; 0: unconditional.
        out_shape: shape of the output; `(channels, height, width)` for a convolutional one.
        key: randomness of the weights.

    Raises:
        ConfigError: a convolutional decoder for what is not an image, or with more levels than it can halve.
    """
    raise TypeError(
        f"no decoder is known for {type(config).__name__}: register it with make_decoder.register"
    )


@make_decoder.register
def _(
    config: MLPDecoderConfig,
    in_size: int,
    *,
    condition_size: int = 0,
    out_shape: tuple[int, ...],
    key: Key[Array, ""],
) -> MLPDecoder:
    mlp = MLP(
        in_size + condition_size,
        math.prod(out_shape),
        hidden_sizes=config.hidden_sizes,
        activation=config.activation,
        key=key,
    )
    return MLPDecoder(mlp, condition_size, tuple(out_shape))


@make_decoder.register
def _(
    config: ConvDecoderConfig,
    in_size: int,
    *,
    condition_size: int = 0,
    out_shape: tuple[int, ...],
    key: Key[Array, ""],
) -> ConvDecoder:
    first_key, grid_key = jax.random.split(key)
    size = level_sizes(out_shape, len(config.channels), type(config).__name__)[-1]
    grid_shape = (config.channels[0], *size)
    first = linear(in_size + condition_size, math.prod(grid_shape), key=first_key)
    grid = ConvGridDecoder(
        config, grid_shape, condition_size=condition_size, out_shape=out_shape, key=grid_key
    )
    return ConvDecoder(first, grid)


def _joined(
    x: Float[Array, " size"], condition_vector: Float[Array, " n"] | None, condition_size: int
) -> Float[Array, " joined"]:
    check_condition_vector(condition_vector, condition_size)
    return x if condition_vector is None else jnp.concatenate([x, condition_vector.astype(x.dtype)])
