"""Mixed precision: parameters, norms and losses in float32, the networks' arithmetic in a shorter type.

A network computes in the type of its weights and returns the type of its input. So casting the parameters is all
that a policy has to do: data, likelihoods and buffers stay as they are.
"""

from typing import Literal, TypeVar

import jax
import jax.numpy as jnp

Precision = Literal["float32", "bfloat16"]
TreeT = TypeVar("TreeT")


def cast_parameters(trainable: TreeT, precision: Precision) -> TreeT:
    """Trainable leaves in the compute type; gradients through the cast come back in the type of the parameters."""
    if precision == "float32":
        return trainable
    return jax.tree.map(lambda leaf: leaf.astype(jnp.dtype(precision)), trainable)
