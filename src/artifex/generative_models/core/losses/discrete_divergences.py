"""Divergences between discrete distributions. `reduce` is explained in `reduction`.

Bernoulli distributions are arrays of logits, one value for each entry. Categorical ones are arrays of logits
with the classes on the last axis (`log_softmax` normalises them; `-inf` for probability 0), one value for
each distribution.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from artifex.generative_models.core.losses.reduction import (
    Reduction,
    Values,
    absolute,
    matched,
    reduce_loss,
)


def kl_bernoulli(p_logits: Values, q_logits: Values, *, reduce: Reduction = "mean") -> Float[Array, "..."]:
    """KL(p || q) of Bernoulli distributions given by logits, for each entry.

    >>> import jax.numpy as jnp
    >>> round(float(kl_bernoulli(jnp.array([0.0]), jnp.array([jnp.log(3.0)]))), 4)
    0.1438

    Args:
        p_logits: array of any shape.
        q_logits: array of the same shape.
        reduce: mean over all entries, or another reduction.

    Raises:
        ValueError: the shapes differ.
    """
    p, q = matched(p_logits, q_logits)
    on = jax.nn.sigmoid(p) * (jax.nn.log_sigmoid(p) - jax.nn.log_sigmoid(q))
    off = jax.nn.sigmoid(-p) * (jax.nn.log_sigmoid(-p) - jax.nn.log_sigmoid(-q))
    return reduce_loss(on + off, reduce)


def kl_categorical(p_logits: Values, q_logits: Values, *, reduce: Reduction = "mean") -> Float[Array, "..."]:
    """KL(p || q) of categorical distributions, `sum_i p_i log(p_i / q_i)`.

    >>> import jax.numpy as jnp
    >>> round(float(kl_categorical(jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.25, 0.75])))), 4)
    0.1438

    Args:
        p_logits: shape `(..., num_classes)`.
        q_logits: the same shape.
        reduce: mean over all distributions, or another reduction.

    Raises:
        ValueError: the shapes differ.
    """
    log_p, log_q = _categoricals(p_logits, q_logits)
    return reduce_loss(_kl(log_p, log_q), reduce)


def reverse_kl_categorical(
    p_logits: Values, q_logits: Values, *, reduce: Reduction = "mean"
) -> Float[Array, "..."]:
    """KL(q || p) of categorical distributions: `kl_categorical` the other way round."""
    return kl_categorical(q_logits, p_logits, reduce=reduce)


def jensen_shannon(p_logits: Values, q_logits: Values, *, reduce: Reduction = "mean") -> Float[Array, "..."]:
    """`(KL(p || m) + KL(q || m)) / 2` with `m = (p + q) / 2`, for categorical distributions; at most log 2.

    Source: Lin 1991, "Divergence measures based on the Shannon entropy".

    >>> import jax.numpy as jnp
    >>> round(float(jensen_shannon(jnp.array([0.0, -jnp.inf]), jnp.array([-jnp.inf, 0.0]))), 4)
    0.6931

    Args:
        p_logits: shape `(..., num_classes)`.
        q_logits: the same shape.
        reduce: mean over all distributions, or another reduction.

    Raises:
        ValueError: the shapes differ.
    """
    log_p, log_q = _categoricals(p_logits, q_logits)
    is_possible = (log_p > -jnp.inf) | (log_q > -jnp.inf)
    log_m = jnp.where(
        is_possible,
        jnp.logaddexp(jnp.where(is_possible, log_p, 0.0), jnp.where(is_possible, log_q, 0.0)) - np.log(2.0),
        -jnp.inf,
    )
    return reduce_loss(0.5 * (_kl(log_p, log_m) + _kl(log_q, log_m)), reduce)


def total_variation_distance(
    p_logits: Values, q_logits: Values, *, reduce: Reduction = "mean"
) -> Float[Array, "..."]:
    """`sum_i |p_i - q_i| / 2` of categorical distributions, in [0, 1].

    >>> import jax.numpy as jnp
    >>> float(total_variation_distance(jnp.array([0.0, -jnp.inf]), jnp.array([0.0, 0.0])))
    0.5

    Args:
        p_logits: shape `(..., num_classes)`.
        q_logits: the same shape.
        reduce: mean over all distributions, or another reduction.

    Raises:
        ValueError: the shapes differ.
    """
    log_p, log_q = _categoricals(p_logits, q_logits)
    return reduce_loss(0.5 * jnp.sum(absolute(jnp.exp(log_p) - jnp.exp(log_q)), axis=-1), reduce)


def hellinger(p_logits: Values, q_logits: Values, *, reduce: Reduction = "mean") -> Float[Array, "..."]:
    """Squared Hellinger distance, `sum_i (sqrt p_i - sqrt q_i)^2 / 2`, of categorical distributions, in [0, 1].

    >>> import jax.numpy as jnp
    >>> float(hellinger(jnp.array([0.0, -jnp.inf]), jnp.array([-jnp.inf, 0.0])))
    1.0

    Args:
        p_logits: shape `(..., num_classes)`.
        q_logits: the same shape.
        reduce: mean over all distributions, or another reduction.

    Raises:
        ValueError: the shapes differ.
    """
    log_p, log_q = _categoricals(p_logits, q_logits)
    return reduce_loss(
        0.5 * jnp.sum(jnp.square(jnp.exp(0.5 * log_p) - jnp.exp(0.5 * log_q)), axis=-1), reduce
    )


def chi_square(p_logits: Values, q_logits: Values, *, reduce: Reduction = "mean") -> Float[Array, "..."]:
    """Pearson's chi-square divergence of categorical distributions, `sum_i (p_i - q_i)^2 / q_i`.

    >>> import jax.numpy as jnp
    >>> round(float(chi_square(jnp.log(jnp.array([0.5, 0.5])), jnp.log(jnp.array([0.25, 0.75])))), 4)
    0.3333

    Args:
        p_logits: shape `(..., num_classes)`.
        q_logits: the same shape.
        reduce: mean over all distributions, or another reduction.

    Raises:
        ValueError: the shapes differ.
    """
    log_p, log_q = _categoricals(p_logits, q_logits)
    is_possible = log_p > -jnp.inf
    # q (p/q - 1)^2, with the ratio from logarithms; a class that p never shows adds q.
    excess = jnp.expm1(jnp.where(is_possible, log_p, 0.0) - jnp.where(is_possible, log_q, 0.0))
    excess = jnp.where(is_possible, excess, -1.0)
    weight = jnp.exp(log_q)
    terms = jnp.where(
        jnp.isinf(excess), jnp.inf, weight * jnp.square(jnp.where(jnp.isinf(excess), 0.0, excess))
    )
    return reduce_loss(jnp.sum(terms, axis=-1), reduce)


def _categoricals(p_logits: Values, q_logits: Values) -> tuple[Array, Array]:
    """Normalised log-probabilities."""
    p_logits, q_logits = matched(p_logits, q_logits)
    if p_logits.ndim == 0:
        raise ValueError("categorical logits need an axis of classes; got scalars")
    return jax.nn.log_softmax(p_logits), jax.nn.log_softmax(q_logits)


def _kl(log_p: Array, log_q: Array) -> Array:
    is_possible = log_p > -jnp.inf
    difference = jnp.where(is_possible, log_p, 0.0) - jnp.where(is_possible, log_q, 0.0)
    return jnp.sum(jnp.where(is_possible, jnp.exp(log_p) * difference, 0.0), axis=-1)
