"""Residual MLP for examples of a few dozen numbers.

Source of the waves: Tancik et al. 2020, arXiv:2006.10739, as an MLP by itself learns low frequencies first.
Deviation: the frequencies are trained.
"""

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import MLPDenoiserConfig
from artifex.generative_models.models.backbones.activations import activation_function
from artifex.generative_models.models.backbones.conditions import check_condition_vector
from artifex.generative_models.models.backbones.denoisers.base import AbstractDenoiserNetwork, make_denoiser
from artifex.generative_models.models.backbones.dtypes import output_dtype
from artifex.generative_models.models.backbones.layers import apply_linear, linear
from artifex.generative_models.models.backbones.noise_levels import NoiseLevelEmbedding
from artifex.generative_models.models.backbones.stack import Stack
from artifex.generative_models.models.backbones.weights import normal_weights, uniform_weights


class ModulatedBlock(eqx.Module):
    """`h + W2 act(W1 (norm(h) (1 + scale) + shift))`, scale and shift affine in the embedding."""

    norm: eqx.nn.LayerNorm
    modulation: eqx.nn.Linear
    first: eqx.nn.Linear
    second: eqx.nn.Linear
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(self, size: int, activation: str, *, key: Key[Array, ""]):
        """Build the block; the modulation starts small, at nearly none."""
        modulation_key, first_key, second_key = jax.random.split(key, 3)
        self.norm = eqx.nn.LayerNorm(size, use_weight=False, use_bias=False)
        self.modulation = linear(size, 2 * size, scale=0.1, key=modulation_key)
        self.first = linear(size, size, key=first_key)
        self.second = linear(size, size, scale=0.5, key=second_key)
        self.activation = activation_function(activation)

    def __call__(self, h: Float[Array, " size"], embedding: Float[Array, " size"]) -> Float[Array, " size"]:
        """Apply it to one vector."""
        scale, shift = jnp.split(apply_linear(self.modulation, embedding), 2)
        normed = self.norm(h.astype(jnp.float32)).astype(h.dtype) * (1 + scale) + shift
        return h + apply_linear(self.second, self.activation(apply_linear(self.first, normed)))


class MLPDenoiser(AbstractDenoiserNetwork):
    """Flatten, blocks, back to the shape; the output starts at zero but for a little."""

    embedding: NoiseLevelEmbedding
    waves: eqx.nn.Linear | None
    into: eqx.nn.Linear
    blocks: Stack
    out: eqx.nn.Linear
    activation: Callable[[Array], Array] = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: MLPDenoiserConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int,
        out_channels: int | None = None,
        key: Key[Array, ""],
    ):
        """Random weights."""
        embedding_key, into_key, block_key, out_key = jax.random.split(key, 4)
        wave_key, into_key = jax.random.split(into_key) if config.num_waves else (into_key, into_key)
        size, event_size = config.hidden_size, math.prod(event_shape)
        self.embedding = NoiseLevelEmbedding(size, condition_size=condition_size, key=embedding_key)
        self.waves = _waves(config, event_size, key=wave_key) if config.num_waves else None
        self.into = linear(event_size + config.num_waves, size, key=into_key)
        self.blocks = Stack(
            lambda key: ModulatedBlock(size, config.activation, key=key), config.num_layers, key=block_key
        )
        out_size = event_size // event_shape[0] * (out_channels or event_shape[0])
        self.out = linear(size, out_size, scale=0.1, key=out_key)
        self.activation = activation_function(config.activation)
        self.event_shape = tuple(event_shape)
        self.condition_size = condition_size

    def __call__(
        self,
        x: Float[Array, "..."],
        level: Float[Array, ""],
        condition: Float[Array, " condition_size"] | None,
    ) -> Float[Array, "..."]:
        """Predict."""
        if x.shape != self.event_shape:
            raise ValueError(f"the network takes examples of shape {self.event_shape}; got {x.shape}")
        check_condition_vector(condition, self.condition_size)
        dtype = output_dtype(x)
        embedding = self.embedding(level, condition)
        h = x.ravel().astype(self.into.weight.dtype)
        if self.waves is not None:
            h = jnp.concatenate([h, jnp.sin(apply_linear(self.waves, h))])
        h = apply_linear(self.into, h)
        h = self.activation(self.blocks(h, embedding))
        return apply_linear(self.out, h).reshape(-1, *x.shape[1:]).astype(dtype)


def _waves(config: MLPDenoiserConfig, event_size: int, *, key: Key[Array, ""]) -> eqx.nn.Linear:
    frequency_key, phase_key = jax.random.split(key)
    layer = eqx.filter_eval_shape(eqx.nn.Linear, event_size, config.num_waves, key=key)
    frequencies = normal_weights(layer.weight.shape, config.wave_frequency, key=frequency_key)
    phases = uniform_weights(layer.bias.shape, math.pi, key=phase_key)
    return eqx.tree_at(lambda layer: (layer.weight, layer.bias), layer, (frequencies, phases))


@make_denoiser.register
def _(
    config: MLPDenoiserConfig,
    event_shape: tuple[int, ...],
    *,
    condition_size: int,
    out_channels: int | None = None,
    key: Key[Array, ""],
) -> AbstractDenoiserNetwork:
    return MLPDenoiser(config, event_shape, condition_size=condition_size, out_channels=out_channels, key=key)
