"""Types in a network: it computes in the type of its weights and returns the type of its input."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree


def weight_dtype(network: PyTree) -> jnp.dtype:
    """The type in which a network computes: that of its weights."""
    return jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))[0].dtype


def output_dtype(x: Array) -> jnp.dtype:
    """The type that a network returns for an input: its own, or float32 for integers and booleans."""
    return x.dtype if jnp.issubdtype(x.dtype, jnp.inexact) else jnp.dtype(jnp.float32)
