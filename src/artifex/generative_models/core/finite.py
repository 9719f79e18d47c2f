"""Generated examples are finite, or it is an error.

The check is made on what a compiled program returned, outside of it: `eqx.error_if` inside would put a host callback
into the program, which JAX then neither keeps in its persistent compilation cache nor exports.
"""

import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PyTree


def check_finite(examples: PyTree[Array], *, what: str) -> None:
    """Raise if an entry of an example is NaN or infinite. Inside of a trace, where nobody knows, nothing is checked.

    Args:
        examples: arrays with a leading axis.
        what: what made them, for the message.

    Raises:
        FloatingPointError: an example is not finite.
    """
    for leaf in jax.tree.leaves(examples):
        if isinstance(leaf, jax.core.Tracer) or not jnp.issubdtype(leaf.dtype, jnp.inexact):
            continue
        if bool(_all_finite(leaf)):
            continue
        wrong = np.flatnonzero(~np.isfinite(np.asarray(leaf, np.float32)).reshape(len(leaf), -1).all(axis=1))
        raise FloatingPointError(
            f"examples must be finite; {what} made {wrong.size} of {len(leaf)} with NaN or infinity, the first of them "
            f"number {wrong[0]}. Look for such numbers in its parameters, as a training run that diverged leaves "
            "them, and in its conditions; or take a sampler or spacing with smaller steps."
        )


@jax.jit
def _all_finite(leaf: Array) -> Array:
    return jnp.isfinite(leaf).all()
