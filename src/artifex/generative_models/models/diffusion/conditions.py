"""Conditions of models that sometimes learn without them."""

import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from artifex.generative_models.core.configuration import ModelConfig
from artifex.generative_models.models.backbones import condition_vector


def flagged_condition(
    config: ModelConfig, condition: Array | None, is_withheld: Bool[Array, ""] | bool | None
) -> Float[Array, " size"] | None:
    """A condition as the vector that a network takes, with one more number that says whether it is withheld.

    Args:
        config: says whether conditions are labels or arrays.
        condition: of one example; None: unconditional.
        is_withheld: whether the network shall not see it, but zeros; None: the network never learns without, and
            the vector has no such number.
    """
    vector = condition_vector(config, condition)
    if vector is None or is_withheld is None:
        return vector
    kept = 1.0 - jnp.asarray(is_withheld, vector.dtype)
    return jnp.append(kept * vector, 1.0 - kept)
