"""How values per entry become one number: the same words in every loss.

- `"mean"`: mean over all entries. The default everywhere.
- `"sum"`: sum over all entries.
- `"batch_mean"`: sum over every axis but the first, then mean over the first. Log-densities and divergences
  of independent entries add, so this is the one for bounds on a batch, such as an ELBO.
- `"none"`: the values as they are.

Values are computed in float32 at least, whatever the precision of a network's output.
"""

from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Inexact, Shaped

Reduction = Literal["mean", "sum", "batch_mean", "none"]
Values = Shaped[Array | np.ndarray, "..."]


def reduce_loss(values: Float[Array, "..."], reduce: Reduction) -> Float[Array, "..."]:
    """Values per entry, reduced as this module's text says.

    Raises:
        ValueError: `reduce` is none of the four words, or `"batch_mean"` is asked of a scalar.
    """
    if reduce == "mean":
        return jnp.mean(values)
    if reduce == "sum":
        return jnp.sum(values)
    if reduce == "none":
        return values
    if reduce != "batch_mean":
        raise ValueError(
            f"`reduce` must be one of {', '.join(map(repr, get_args(Reduction)))}; got {reduce!r}"
        )
    if values.ndim == 0:
        raise ValueError("`reduce='batch_mean'` needs a batch axis; got one value. Use 'mean' or 'sum'.")
    return jnp.sum(values) / values.shape[0]


def as_float(values: Values) -> Float[Array, "..."]:
    """An array of float32, or of float64 where it was that."""
    values = jnp.asarray(values)
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def absolute(values: Inexact[Array, "..."]) -> Float[Array, "..."]:
    """`|values|` with gradient 0 at 0, where that of `jnp.abs` is 1: equal things must not be pushed apart."""
    if jnp.iscomplexobj(values):
        return jnp.abs(values)
    return values * jnp.sign(values)


def matched(prediction: Values, target: Values) -> tuple[Float[Array, "..."], Float[Array, "..."]]:
    """Both as floats, of one shape: silent broadcasting of `(n, 1)` against `(n,)` is the classic wrong loss.

    Raises:
        ValueError: the shapes differ, or the arrays are empty.
    """
    prediction, target = as_float(prediction), as_float(target)
    if prediction.shape != target.shape:
        raise ValueError(
            f"both arguments must have the same shape; got {prediction.shape} and {target.shape}. "
            "Use jnp.broadcast_to where broadcasting is meant."
        )
    if prediction.size == 0:
        raise ValueError(f"a loss needs at least one entry; got shape {prediction.shape}")
    return prediction, target
