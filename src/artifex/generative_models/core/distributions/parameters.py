"""Parameters of distributions: their shapes, and their values where they are known.

Inside of a trace nobody knows a value, so nothing is checked there; shapes always are.
"""

import distrax
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array


def as_event(distribution: distrax.Distribution, batch_ndims: int) -> distrax.Distribution:
    """The same distribution, in which all batch axes but the first `batch_ndims` are event axes."""
    num_axes = len(distribution.batch_shape) - batch_ndims
    if num_axes < 0:
        raise ValueError(
            f"`batch_ndims` may be at most {len(distribution.batch_shape)}, as many as the batch axes of these "
            f"parameters; got {batch_ndims}"
        )
    return distrax.Independent(distribution, num_axes) if num_axes else distribution


def like(value: Array | float, reference: Array, name: str) -> Array:
    """A parameter with the shape and type of another one.

    Raises:
        ValueError: it is neither a scalar nor of that shape.
    """
    value = jnp.asarray(value, reference.dtype)
    if value.shape not in ((), reference.shape):
        raise ValueError(f"`{name}` must be a scalar or have the shape {reference.shape}; got {value.shape}")
    return jnp.broadcast_to(value, reference.shape)


def known(*values: Array | np.ndarray | float) -> bool:
    """Whether none of the values is part of a trace."""
    return not any(isinstance(value, jax.core.Tracer) for value in values)


def check_positive(name: str, value: Array | float, fix: str) -> None:
    """Raise if a known entry is not positive and finite.

    Args:
        name: of the parameter.
        value: its entries.
        fix: what to do, for the message.
    """
    if not known(value):
        return
    entries = np.atleast_1d(np.asarray(value))
    wrong = ~((entries > 0) & np.isfinite(entries))
    if wrong.any():
        raise ValueError(f"`{name}` must be positive and finite; got {_examples(entries, wrong)}. {fix}")


def check_not_negative(name: str, value: Array | float) -> None:
    """Raise if a known entry is negative or not finite."""
    if not known(value):
        return
    entries = np.atleast_1d(np.asarray(value))
    wrong = ~((entries >= 0) & np.isfinite(entries))
    if wrong.any():
        raise ValueError(
            f"`{name}` must be at least 0 and finite; got {_examples(entries, wrong)}. Pass a network's output through "
            "softplus or exp."
        )


def check_ordered(low: Array | float, high: Array | float) -> None:
    """Raise if known bounds are not in order."""
    if not known(low, high):
        return
    lows, highs = np.broadcast_arrays(np.atleast_1d(np.asarray(low)), np.asarray(high))
    wrong = ~(lows < highs)
    if wrong.any():
        raise ValueError(
            f"`low` must be less than `high`; got {_examples(lows, wrong)} and {_examples(highs, wrong)}. Swapped?"
        )


def check_not_nan(name: str, value: Array) -> None:
    """Raise if a known entry is NaN, as logits are that come from a diverged network."""
    if not known(value):
        return
    entries = np.atleast_1d(np.asarray(value))
    wrong = np.isnan(entries)
    if wrong.any():
        raise ValueError(
            f"`{name}` must hold numbers; {wrong.sum()} of {wrong.size} entries are NaN. They come from a diverged "
            "network, or from the logarithm of a negative probability."
        )


def _examples(entries: np.ndarray, wrong: np.ndarray) -> str:
    found = entries[wrong].ravel()
    return ", ".join(f"{float(entry):.6g}" for entry in found[:3]) + (", ..." if found.size > 3 else "")
