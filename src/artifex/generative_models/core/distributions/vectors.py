"""Distributions whose events are vectors along the last axis; further axes are independent vectors."""

import distrax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.categorical import OneHot
from artifex.generative_models.core.distributions.dirichlet import Dirichlet
from artifex.generative_models.core.distributions.gumbel_softmax import GumbelSoftmax
from artifex.generative_models.core.distributions.multivariate_normal import (
    LowRankNormal,
    MultivariateNormal,
)
from artifex.generative_models.core.distributions.parameters import (
    as_event,
    check_not_nan,
    check_positive,
    known,
    like,
)

_POSITIVE_FIX = "Pass a network's output through softplus or exp."


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
    check_positive("concentration", concentration, _POSITIVE_FIX)
    return as_event(Dirichlet(concentration), batch_ndims)


def gumbel_softmax(
    logits: Float[Array, "*event categories"],
    temperature: Float[Array, "*event"] | float,
    *,
    batch_ndims: int = 0,
) -> distrax.Distribution:
    """Independent relaxed one-hot vectors; see `GumbelSoftmax`.

    Args:
        logits: unnormalized log-probabilities; the last axis holds the categories.
        temperature: positive: one for each vector, or one for all.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_not_nan("logits", logits)
    check_positive("temperature", temperature, "For one-hot vectors take `one_hot`.")
    return as_event(GumbelSoftmax(logits, like(temperature, logits[..., 0], "temperature")), batch_ndims)


def multivariate_normal(
    loc: Float[Array, "*event dim"],
    covariance: Float[Array, "... rows columns"] | None = None,
    *,
    scale_tril: Float[Array, "... rows columns"] | None = None,
    batch_ndims: int = 0,
) -> distrax.Distribution:
    """Independent normal vectors with full covariances. For a diagonal one take `normal`.

    Args:
        loc: means; the last axis is that of a vector.
        covariance: symmetric and positive definite.
        scale_tril: its Cholesky factor, instead: lower triangular, with a positive diagonal.
        batch_ndims: so many leading axes stay batch axes.
    """
    if (covariance is None) == (scale_tril is None):
        raise ValueError("give either `covariance` or `scale_tril`; got both or none of them")
    matrix, name = (covariance, "covariance") if scale_tril is None else (scale_tril, "scale_tril")
    shape = (*loc.shape, *loc.shape[-1:])
    if matrix is None or matrix.shape != shape:
        got = None if matrix is None else matrix.shape
        raise ValueError(f"`{name}` must have the shape {shape} for means of shape {loc.shape}; got {got}")
    if covariance is not None:
        _check_covariance(covariance)
        scale_tril = jnp.linalg.cholesky(covariance)
    elif known(matrix):
        check_positive("scale_tril", jnp.diagonal(matrix, axis1=-2, axis2=-1), "It is about the diagonal.")
    return as_event(MultivariateNormal(loc, jnp.asarray(scale_tril)), batch_ndims)


def low_rank_normal(
    loc: Float[Array, "*event dim"],
    scale: Float[Array, "*event dim"] | float,
    factor: Float[Array, "... rows rank"],
    *,
    batch_ndims: int = 0,
) -> distrax.Distribution:
    """Independent normal vectors with the covariance `diag(scale^2) + factor factor^T`; see `LowRankNormal`.

    Args:
        loc: means; the last axis is that of a vector.
        scale: standard deviations of the diagonal part, positive: of the same shape, or one for all entries.
        factor: one column for each rank.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_positive("scale", scale, _POSITIVE_FIX)
    if factor.shape[:-1] != loc.shape:
        raise ValueError(
            f"`factor` must have the shape {loc.shape} and a last axis of ranks; got {factor.shape}"
        )
    return as_event(LowRankNormal(loc, like(scale, loc, "scale"), factor), batch_ndims)


def _check_covariance(covariance: Array) -> None:
    if not known(covariance):
        return
    matrix = np.asarray(covariance, np.float64)
    transposed = np.swapaxes(matrix, -1, -2)
    error = np.abs(matrix - transposed).max()
    if not error <= 1e-5 * np.abs(matrix).max():
        raise ValueError(
            f"`covariance` must be symmetric; got differences of up to {error:.4g} to its transpose. Take the mean of "
            "both, or give `scale_tril`."
        )
    least = np.linalg.eigvalsh(matrix).min()
    if not least > 0:
        raise ValueError(
            f"`covariance` must be positive definite; got a least eigenvalue of {least:.4g}. Add a small multiple of "
            "the identity, or take `low_rank_normal`."
        )
