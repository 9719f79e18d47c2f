"""Directions, all of whose axes are event axes or all but the leading `batch_ndims`."""

import distrax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.parameters import (
    as_event,
    check_not_negative,
    known,
    like,
)
from artifex.generative_models.core.distributions.von_mises_fisher import VonMises, VonMisesFisher


def von_mises(
    loc: Float[Array, "..."], concentration: Float[Array, "..."] | float, *, batch_ndims: int = 0
) -> distrax.Distribution:
    """Independent angles in radians; see `VonMises`.

    Args:
        loc: mean angles.
        concentration: at least 0: of the same shape, or one for all entries.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_not_negative("concentration", concentration)
    return as_event(VonMises(loc, like(concentration, loc, "concentration")), batch_ndims)


def von_mises_fisher(
    direction: Float[Array, "*event dim"],
    concentration: Float[Array, "*event"] | float,
    *,
    batch_ndims: int = 0,
) -> distrax.Distribution:
    """Independent unit vectors around mean directions; see `VonMisesFisher`.

    Args:
        direction: unit vectors along the last axis, of at least 2 dimensions.
        concentration: at least 0: one for each vector, or one for all; 0 is uniform on the sphere.
        batch_ndims: so many leading axes stay batch axes.
    """
    if direction.ndim < 1 or direction.shape[-1] < 2:
        raise ValueError(
            f"`direction` must have at least 2 dimensions along its last axis; got {direction.shape}"
        )
    if known(direction):
        lengths = np.linalg.norm(np.asarray(direction, np.float64), axis=-1)
        wrong = ~(np.abs(lengths - 1) < 1e-4)
        if wrong.any():
            raise ValueError(
                f"`direction` must hold unit vectors; got a length of {np.atleast_1d(lengths[wrong])[0]:.6g}. Divide "
                "it by its norm."
            )
    check_not_negative("concentration", concentration)
    concentration = like(concentration, jnp.asarray(direction[..., 0]), "concentration")
    return as_event(VonMisesFisher(direction, concentration), batch_ndims)
