"""What splines share: knots of an interval, and the piece in which a number lies.

A number outside of the interval is replaced by one inside before anything is computed with it, and the result for
it by the identity after: so derivatives are finite everywhere.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from artifex.generative_models.models.backbones.bijections.transformers.base import Scalar

Pieces = Float[Array, " num_bins"]
Knots = Float[Array, " num_knots"]


def make_knots(parameters: Pieces, bound: float, least: float) -> Knots:
    """Increasing numbers from -bound to bound, both exact; equally spaced for parameters that are all equal.

    Args:
        parameters: logits of the shares of the pieces.
        bound: half the length of the interval.
        least: least share of a piece.
    """
    shares = least + (1.0 - least * parameters.shape[0]) * jax.nn.softmax(parameters)
    inner = bound * (2.0 * jnp.cumsum(shares)[:-1] - 1.0)
    edge = jnp.full((1,), bound, inner.dtype)
    return jnp.concatenate([-edge, inner, edge])


def piece_of(x: Scalar, knots: Knots) -> Bool[Array, " num_bins"]:
    """A one at the piece in which x lies; one left of all pieces lies in the first, one right of all in the last."""
    is_above = x >= knots[1:-1]
    yes, no = jnp.ones(1, bool), jnp.zeros(1, bool)
    return jnp.concatenate([yes, is_above]) & ~jnp.concatenate([is_above, no])


def pick(values: Pieces, piece: Bool[Array, " num_bins"]) -> Scalar:
    """The value of a piece: a masked sum, whose derivative needs no scatter."""
    return jnp.sum(jnp.where(piece, values, 0.0))


def with_identity_outside(
    function: Callable[[Scalar], tuple[Scalar, Scalar]], x: Scalar, bound: float
) -> tuple[Scalar, Scalar]:
    """`function(x)` in [-bound, bound], x and a log-derivative of 0 outside."""
    is_inside = jnp.abs(x) <= bound
    y, log_derivative = function(jnp.where(is_inside, x, 0.0))
    return jnp.where(is_inside, y, x), jnp.where(is_inside, log_derivative, 0.0)
