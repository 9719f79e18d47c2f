"""Conditions as the layers of a flow see them."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from artifex.generative_models.core.trainable import Buffer

Vector = Float[Array, " condition_size"]


class ConditionNorm(eqx.Module):
    """Conditions shifted and scaled to mean 0 and standard deviation 1, entry by entry; at first, as they are.

    Attributes:
        mean: what is taken away.
        scale: what is divided by.
        is_set: whether they are those of data.
    """

    mean: Buffer
    scale: Buffer
    is_set: Bool[Array, ""]

    def __init__(self, size: int):
        """The identity on vectors of a length."""
        self.mean = Buffer(jnp.zeros(size))
        self.scale = Buffer(jnp.ones(size))
        self.is_set = jnp.zeros((), bool)

    def __call__(self, vector: Vector) -> Vector:
        """One condition, in its own type."""
        return ((vector - self.mean.value) / self.scale.value).astype(vector.dtype)

    def fitted(self, vectors: Float[Array, "batch condition_size"]) -> "ConditionNorm":
        """With the moments of a batch; entries that do not vary are not scaled."""
        mean, std = jnp.mean(vectors, axis=0), jnp.std(vectors, axis=0)
        scale = jnp.where(std > 1e-6 * jnp.abs(mean), std, 1.0)
        scale = jnp.where(scale > 0, scale, 1.0)
        return eqx.tree_at(
            lambda norm: (norm.mean.value, norm.scale.value, norm.is_set),
            self,
            (mean.astype(jnp.float32), scale.astype(jnp.float32), jnp.ones((), bool)),
        )
