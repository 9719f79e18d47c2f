"""Counts, all of whose axes are event axes or all but the leading `batch_ndims`."""

import distrax
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.counts import NegativeBinomial, Poisson, ZeroInflated
from artifex.generative_models.core.distributions.parameters import (
    as_event,
    check_not_nan,
    check_positive,
    like,
)

_FIX = "Pass a network's output through softplus or exp."


def poisson(rate: Float[Array, "..."], *, batch_ndims: int = 0) -> distrax.Distribution:
    """Independent Poisson counts, as floating-point numbers.

    Args:
        rate: means, positive.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_positive("rate", rate, _FIX)
    return as_event(Poisson(rate), batch_ndims)


def negative_binomial(
    total_count: Float[Array, "..."], logits: Float[Array, "..."] | float, *, batch_ndims: int = 0
) -> distrax.Distribution:
    """Independent negative binomial counts, as floating-point numbers; see `NegativeBinomial`.

    Args:
        total_count: number of failures, positive; the less, the more counts disperse.
        logits: log-odds of a success: of the same shape, or one for all. For means m it is `log(m / total_count)`.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_positive("total_count", total_count, _FIX)
    return as_event(NegativeBinomial(total_count, like(logits, total_count, "logits")), batch_ndims)


def zero_inflated(logits: Float[Array, "..."], counts: distrax.Distribution) -> distrax.Distribution:
    """Independent counts with more zeros than their distribution explains; see `ZeroInflated`.

    Args:
        logits: log-odds of a zero beyond those.
        counts: distributions of single counts, whose batch shape is the shape of `logits`: build them with
            `batch_ndims`.
    """
    check_not_nan("logits", logits)
    if counts.batch_shape != logits.shape or counts.event_shape != ():
        raise ValueError(
            f"`counts` must have the batch shape {logits.shape} of `logits` and scalar events; got "
            f"{counts.batch_shape} and {counts.event_shape}. Build them with `batch_ndims={logits.ndim}`."
        )
    return as_event(ZeroInflated(logits, counts), 0)
