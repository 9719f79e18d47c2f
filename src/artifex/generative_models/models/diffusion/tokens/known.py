"""Tokens that a sample must have: what infilling starts from."""

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Int

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import TokenDiffusionConfig


class Known(eqx.Module):
    """Tokens that one sample must have.

    Attributes:
        tokens: one example; what stands at the other positions does not matter.
        is_given: which of them are given.
    """

    tokens: Int[Array, " length"]
    is_given: Bool[Array, " length"]


def known_batch(
    config: TokenDiffusionConfig, given: Arrays | None, is_given: Arrays | None, num: int
) -> tuple[Int[Array, "..."], Bool[Array, "..."]]:
    """Given tokens and their places, one example for each sample.

    Args:
        config: of the model.
        given: tokens, in the shape of one example or with a leading axis of length `num`; None: none are given.
        is_given: where they are, in either shape.
        num: number of samples.

    Raises:
        ValueError: one of the two is missing, or a shape or a token's value is wrong.
        TypeError: the tokens are no integers, or the places are not True or False.
    """
    shape = (num, *config.event_shape)
    if (given is None) != (is_given is None):
        raise ValueError("`given` and `is_given` belong together: give both, or neither")
    if given is None:
        return jnp.zeros(shape, jnp.int32), jnp.zeros(shape, bool)
    tokens, places = jnp.asarray(given), jnp.asarray(is_given)
    for name, array in (("given", tokens), ("is_given", places)):
        if array.shape not in (shape, config.event_shape):
            raise ValueError(f"`{name}` must have shape {shape} or {config.event_shape}; got {array.shape}")
    if not jnp.issubdtype(tokens.dtype, jnp.integer):
        raise TypeError(f"`given` must hold integers in [0, {config.vocab_size}); got {tokens.dtype}")
    if places.dtype != bool:
        raise TypeError(f"`is_given` must hold True or False; got {places.dtype}")
    tokens, places = jnp.broadcast_to(tokens, shape), jnp.broadcast_to(places, shape)
    if not any(isinstance(array, jax.core.Tracer) for array in (tokens, places)):
        used = np.asarray(tokens)[np.asarray(places)]
        if used.size and (used.min() < 0 or used.max() >= config.vocab_size):
            raise ValueError(
                f"tokens that are given must lie in [0, {config.vocab_size}); got values from {used.min()} to "
                f"{used.max()}"
            )
    return tokens.astype(jnp.int32), places
