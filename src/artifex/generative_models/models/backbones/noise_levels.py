"""Noise levels as features."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.models.backbones.layers import apply_linear, linear

_LONGEST_PERIOD = 10_000.0


def sinusoidal_features(
    value: Float[Array, ""], size: int, *, has_longest: bool = False
) -> Float[Array, " size"]:
    """Cosines and sines of a number at frequencies from 1 down to about 1 / 10,000, in geometric steps.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.5; cosines first, as in the networks of diffusion models.

    Args:
        value: a number of size about 1,000, such as the index of a noise level.
        size: number of features, even.
        has_longest: whether the last frequency is 1 / 10,000; else that would be the next one.
    """
    if size % 2 or (has_longest and size == 2):
        raise ValueError(f"`size` must be even, for cosines and sines, and hold all frequencies; got {size}")
    half = size // 2
    num_steps = half - 1 if has_longest else half
    frequencies = jnp.exp(-math.log(_LONGEST_PERIOD) / num_steps * jnp.arange(half))
    angles = value.astype(jnp.float32) * frequencies
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)])


class NoiseLevelEmbedding(eqx.Module):
    """Noise level, and a condition if there is one, as one vector: what modulates a network's layers."""

    first: eqx.nn.Linear
    second: eqx.nn.Linear
    condition: eqx.nn.Linear | None
    num_features: int = eqx.field(static=True)
    has_longest: bool = eqx.field(static=True)

    def __init__(
        self,
        size: int,
        *,
        condition_size: int,
        num_features: int = 64,
        has_longest: bool = False,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            size: length of the vector.
            condition_size: length of the condition vector; 0: unconditional.
            num_features: sinusoidal features of the noise level.
            has_longest: as in `sinusoidal_features`.
            key: randomness of the weights.
        """
        first_key, second_key, condition_key = jax.random.split(key, 3)
        self.first = linear(num_features, size, key=first_key)
        self.second = linear(size, size, key=second_key)
        self.condition = linear(condition_size, size, key=condition_key) if condition_size else None
        self.num_features = num_features
        self.has_longest = has_longest

    def __call__(
        self, level: Float[Array, ""], condition: Float[Array, " condition_size"] | None
    ) -> Float[Array, " size"]:
        """Embed them, in the type of the weights."""
        dtype = self.first.weight.dtype
        h = sinusoidal_features(level, self.num_features, has_longest=self.has_longest).astype(dtype)
        h = apply_linear(self.second, jax.nn.silu(apply_linear(self.first, h)))
        if self.condition is not None:
            if condition is None:
                raise ValueError("the network is conditional: it needs a condition vector")
            h = h + apply_linear(self.condition, condition.astype(dtype))
        return jax.nn.silu(h)
