"""What splines share: the pieces of an interval, and the one in which a number lies.

A number outside of the interval is replaced by one inside before anything is computed with it, and the result for
it by the identity after: so derivatives are finite everywhere.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from artifex.generative_models.models.backbones.bijections.transformers.base import Scalar

Values = Float[Array, "num_bins *shape"]


class Pieces(NamedTuple):
    """Where the pieces of an interval begin, and how long they are."""

    start: Values
    length: Values


def make_pieces(parameters: Values, bound: float, least: float) -> Pieces:
    """Pieces from -bound to bound, equally long for parameters that are all equal.

    Args:
        parameters: logits of the shares of the pieces.
        bound: half the length of the interval.
        least: least share of a piece.
    """
    shares = least + (1.0 - least * parameters.shape[0]) * jax.nn.softmax(parameters, axis=0)
    return Pieces(bound * (2.0 * (jnp.cumsum(shares, axis=0) - shares) - 1.0), 2.0 * bound * shares)


def piece_of(x: Scalar, start: Values) -> Bool[Array, "num_bins *shape"]:
    """A one at the piece in which x lies; one left of all pieces lies in the first, one right of all in the last."""
    is_above = x[None] >= start[1:]
    yes = jnp.ones_like(is_above, shape=(1, *x.shape))
    return jnp.concatenate([yes, is_above]) & ~jnp.concatenate([is_above, ~yes])


def pick(values: Values, piece: Bool[Array, "num_bins *shape"]) -> Scalar:
    """The value of a piece: a masked sum, whose derivative needs no scatter."""
    return jnp.sum(jnp.where(piece, values, 0.0), axis=0)


def with_identity_outside(
    function: Callable[[Scalar], tuple[Scalar, Scalar]], x: Scalar, bound: float
) -> tuple[Scalar, Scalar]:
    """`function(x)` in [-bound, bound], x and a log-derivative of 0 outside."""
    is_inside = jnp.abs(x) <= bound
    y, log_derivative = function(jnp.where(is_inside, x, 0.0))
    return jnp.where(is_inside, y, x), jnp.where(is_inside, log_derivative, 0.0)


def spread(vector: Float[Array, " num"], like: Float[Array, "num2 *shape"]) -> Float[Array, "num *shape"]:
    """The same numbers at each place of `like`."""
    wide = vector.astype(like.dtype).reshape(-1, *[1] * (like.ndim - 1))
    return jnp.broadcast_to(wide, (len(vector), *like.shape[1:]))
