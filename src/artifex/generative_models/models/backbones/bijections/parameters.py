"""Parameters of a layer as one vector, which a condition may shift."""

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

from artifex.generative_models.models.backbones.bijections.base import Condition
from artifex.generative_models.models.backbones.layers import apply_linear, linear
from artifex.generative_models.models.backbones.weights import normal_weights


class ConditionalVector(eqx.Module):
    """A trained vector, plus a linear map of the condition where there is one.

    So the encoder of a variational autoencoder, whose last hidden layer is the condition, gives a flow's parameters.
    """

    vector: Float[Array, " size"]
    condition: eqx.nn.Linear | None

    def __init__(self, size: int, *, condition_size: int, scale: float, key: Key[Array, ""]):
        """Random numbers.

        Args:
            size: length of the vector.
            condition_size: length of the condition; 0: none.
            scale: standard deviation of the vector, and of what a condition of unit variance adds to it.
            key: randomness.
        """
        vector_key, condition_key = jax.random.split(key)
        self.vector = normal_weights((size,), scale, key=vector_key)
        self.condition = None
        if condition_size:
            self.condition = linear(condition_size, size, scale=scale, use_bias=False, key=condition_key)

    def __call__(self, condition: Condition | None) -> Float[Array, " size"]:
        """The vector for a condition."""
        if self.condition is None or condition is None:
            return self.vector
        return self.vector + apply_linear(self.condition, condition.astype(self.vector.dtype))
