"""Conditions as vectors, the form in which networks take them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

from artifex.generative_models.core.configuration import ModelConfig


def condition_vector(
    config: ModelConfig, condition: PyTree[Array] | None
) -> Float[Array, " condition_size"] | None:
    """The condition of one example as a vector of `config.condition_size` numbers.

    Args:
        config: says whether conditions are labels or arrays.
        condition: a class label, shape `()`, or an array of `config.condition_shape`; None: unconditional.

    Returns:
        The one-hot label or the flattened array, in float32 unless it is floating already; None stays None.
    """
    if condition is None:
        return None
    array = jnp.asarray(condition)
    if config.num_classes is not None:
        return jax.nn.one_hot(array, config.num_classes, dtype=jnp.float32)
    if not jnp.issubdtype(array.dtype, jnp.floating):
        array = array.astype(jnp.float32)
    return array.ravel()


def check_condition_vector(vector: Array | None, condition_size: int) -> None:
    """Raise unless a network of `condition_size` can take `vector`.

    Raises:
        ValueError: it is missing, not wanted, or of another length.
    """
    shape = None if vector is None else vector.shape
    wanted = None if condition_size == 0 else (condition_size,)
    if shape != wanted:
        raise ValueError(f"the network takes a condition vector of shape {wanted}; got {shape}")
