"""Conditions as vectors, the form in which networks take them, and as the tokens that some make of them."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, PyTree

from artifex.generative_models.core.configuration import ConfigError, ModelConfig


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


def check_condition_vector(vector: Array | None, condition_size: int) -> None:
    """Raise unless a network of `condition_size` can take `vector`.

    Raises:
        ValueError: it is missing, not wanted, or of another length.
    """
    shape = None if vector is None else vector.shape
    wanted = None if condition_size == 0 else (condition_size,)
    if shape != wanted:
        raise ValueError(f"the network takes a condition vector of shape {wanted}; got {shape}")


def split_condition(
    vector: Float[Array, " condition_size"] | None, token_shape: tuple[int, int] | None
) -> tuple[Float[Array, "length features"] | None, Float[Array, " rest_size"] | None]:
    """The sequence of tokens with which a condition vector begins, and the vector of what comes after them.

    So an array of shape `(length, features)` reaches a network as it is, and what a model appends to it, such as
    whether it is withheld, stays apart.

    Args:
        vector: the condition of one example.
        token_shape: (length, features); none: there are no tokens.

    Returns:
        Tokens and rest, each None where there is nothing of it.
    """
    if vector is None or token_shape is None:
        return None, vector
    num = math.prod(token_shape)
    return vector[:num].reshape(token_shape), vector[num:] if vector.size > num else None


def rest_size(condition_size: int, token_shape: tuple[int, int] | None) -> int:
    """Length of what comes after the tokens of a condition vector.

    Raises:
        ConfigError: the vector is shorter than its tokens.
    """
    num = 0 if token_shape is None else math.prod(token_shape)
    if condition_size < num:
        raise ConfigError(
            f"`condition_tokens` {token_shape} need conditions of at least {num} numbers, such as those of "
            f"`condition_shape` {token_shape}; got {condition_size}"
        )
    return condition_size - num
