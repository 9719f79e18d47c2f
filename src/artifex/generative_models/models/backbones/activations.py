"""Nonlinearities by the names that configs use."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array

from artifex.utils.messages import unknown_name

_ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "elu": jax.nn.elu,
    "gelu": jax.nn.gelu,
    "leaky_relu": jax.nn.leaky_relu,
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "tanh": jnp.tanh,
}


def activation_function(name: str) -> Callable[[Array], Array]:
    """The elementwise function of a name; always the same object, so it can be a static field."""
    if name not in _ACTIVATIONS:
        raise ValueError(unknown_name("activation", name, _ACTIVATIONS))
    return _ACTIVATIONS[name]
