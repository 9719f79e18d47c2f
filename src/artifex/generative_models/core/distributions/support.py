"""Where a distribution can have events, and errors that say which rows of data lie outside and how far."""

import distrax
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.parameters import known

_MOST_ROWS = 5


def distance_to_support(distribution: distrax.Distribution, value: Array) -> Float[Array, "..."]:
    """How far an event lies outside of the support, in its largest entry; 0 inside, infinite for NaN.

    Args:
        distribution: one of this package.
        value: one event for each entry of the batch shape.

    Returns:
        One number for each entry of the batch shape, in units of the data.
    """
    if isinstance(distribution, distrax.Independent):
        entries = distance_to_support(distribution.distribution, value)
        return jnp.max(entries, axis=tuple(range(-distribution.reinterpreted_batch_ndims, 0)))
    method = getattr(distribution, "distance_to_support", None)
    if method is None:
        raise TypeError(
            f"{type(distribution).__name__} does not say what its support is; build it with the functions of "
            "core.distributions, or give it a method `distance_to_support`"
        )
    return method(value)


def check_support(
    distribution: distrax.Distribution, events: Array | np.ndarray, *, tolerance: float = 0.0
) -> None:
    """Raise if an event lies outside of the support. Inside of a trace, where nobody knows, nothing is checked.

    Args:
        distribution: distribution of one event.
        events: with a leading axis.
        tolerance: so far outside, in units of the data, an event may be.

    Raises:
        ValueError: with the rows that lie outside, and how far.

    >>> from artifex.generative_models.core.distributions import uniform
    >>> check_support(uniform(jnp.zeros(2), jnp.ones(2)), jnp.array([[0.5, 0.5], [0.5, 1.25]]))
    Traceback (most recent call last):
        ...
    ValueError: all events must lie in the support of Independent(Uniform); got 1 of 2 outside: row 1 by 0.25. ...
    """
    if not known(events):
        return
    events = jnp.asarray(events)
    if events.shape[1:] != distribution.event_shape:
        raise ValueError(
            f"`events` must have a leading axis and then the event shape {distribution.event_shape}; got "
            f"{events.shape}"
        )
    distances = jax.vmap(lambda event: distance_to_support(distribution, event))(events)
    if not known(distances):  # Parameters of the distribution belong to a trace.
        return
    distances = np.asarray(distances)
    rows = np.flatnonzero(~(distances <= tolerance))
    if rows.size:
        listed = ", ".join(f"row {row} by {distances[row]:.4g}" for row in rows[:_MOST_ROWS])
        raise ValueError(
            f"all events must lie in the support of {name_of(distribution)}; got {rows.size} of {len(events)} outside: "
            f"{listed}{', ...' if rows.size > _MOST_ROWS else ''}. Clip or rescale these rows, or take a distribution "
            "that allows them."
        )


def name_of(distribution: distrax.Distribution) -> str:
    """Name of a distribution, with what it consists of."""
    if isinstance(distribution, distrax.Independent):
        return f"Independent({name_of(distribution.distribution)})"
    return type(distribution).__name__
