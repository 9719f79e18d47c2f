"""Distributions whose events are vectors along the last axis; further axes are independent vectors."""

import distrax
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.categorical import OneHot
from artifex.generative_models.core.distributions.dirichlet import Dirichlet
from artifex.generative_models.core.distributions.parameters import as_event, check_not_nan, check_positive


def one_hot(logits: Float[Array, "*event categories"], *, batch_ndims: int = 0) -> distrax.Distribution:
    """Independent one-hot vectors, of floating-point numbers.

    Args:
        logits: unnormalized log-probabilities; the last axis holds the categories.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_not_nan("logits", logits)
    return as_event(OneHot(logits), batch_ndims)


def dirichlet(
    concentration: Float[Array, "*event categories"], *, batch_ndims: int = 0
) -> distrax.Distribution:
    """Independent vectors of positive numbers that sum to 1; see `Dirichlet`.

    Args:
        concentration: positive; the last axis is that of a vector, of at least two entries.
        batch_ndims: so many leading axes stay batch axes.
    """
    if concentration.ndim < 1 or concentration.shape[-1] < 2:
        raise ValueError(
            f"`concentration` must have a last axis of at least 2 categories; got shape {concentration.shape}. For "
            "one proportion take `beta`."
        )
    check_positive("concentration", concentration, "Pass a network's output through softplus or exp.")
    return as_event(Dirichlet(concentration), batch_ndims)
