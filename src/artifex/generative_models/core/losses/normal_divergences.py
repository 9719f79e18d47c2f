"""Divergences between diagonal normals, in nats, in closed form. `reduce` is explained in `reduction`.

A diagonal normal is a pair `(mean, scale)` of arrays of one shape, `scale` being standard deviations.
Entries are independent, so their KL and Renyi divergences add: `reduce="batch_mean"` gives the divergence of
the joint distribution of each example, averaged over the batch.
"""

import math

import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.losses.reduction import Reduction, Values, matched, reduce_loss

Normal = tuple[Values, Values]


def kl_normal(p: Normal, q: Normal, *, reduce: Reduction = "mean") -> Float[Array, "..."]:
    """KL(p || q) of diagonal normals, in nats.

    For each entry it is `log(s_q / s_p) + (s_p^2 + (m_p - m_q)^2) / (2 s_q^2) - 1/2`.

    >>> import jax.numpy as jnp
    >>> zero, one = jnp.zeros(3), jnp.ones(3)
    >>> float(kl_normal((one, one), (zero, one), reduce="sum"))
    1.5

    Args:
        p: mean and standard deviation, arrays of one shape.
        q: the same.
        reduce: mean over all entries, or another reduction.

    Raises:
        ValueError: the shapes differ.
    """
    mean_p, scale_p, mean_q, scale_q = _normals(p, q)
    ratio = jnp.square(scale_p / scale_q)
    shift = jnp.square((mean_p - mean_q) / scale_q)
    return reduce_loss(0.5 * (ratio + shift - 1.0 - jnp.log(ratio)), reduce)


def reverse_kl_normal(p: Normal, q: Normal, *, reduce: Reduction = "mean") -> Float[Array, "..."]:
    """KL(q || p) of diagonal normals: `kl_normal` the other way round."""
    return kl_normal(q, p, reduce=reduce)


def kl_standard_normal(mean: Values, scale: Values, *, reduce: Reduction = "mean") -> Float[Array, "..."]:
    """KL(N(mean, scale^2) || N(0, 1)), `(scale^2 + mean^2 - 1) / 2 - log scale` for each entry.

    Source: Kingma and Welling 2013, arXiv:1312.6114, appendix B.

    >>> import jax.numpy as jnp
    >>> float(kl_standard_normal(jnp.array([2.0]), jnp.array([1.0])))
    2.0

    Args:
        mean: array of any shape.
        scale: standard deviations, of the same shape.
        reduce: mean over all entries, or another reduction.

    Raises:
        ValueError: the shapes differ.
    """
    mean, scale = matched(mean, scale)
    return reduce_loss(0.5 * (jnp.square(scale) + jnp.square(mean) - 1.0) - jnp.log(scale), reduce)


def renyi_normal(
    p: Normal, q: Normal, *, alpha: float = 0.5, reduce: Reduction = "mean"
) -> Float[Array, "..."]:
    """Renyi divergence of diagonal normals, in nats.

    For each entry it is `1 / (alpha - 1) log integral p^alpha q^(1 - alpha)`; at `alpha = 1`, KL(p || q).
    With `s^2 = (1 - alpha) s_p^2 + alpha s_q^2` that is `alpha (m_p - m_q)^2 / (2 s^2) +
    log(s / (s_p^(1 - alpha) s_q^alpha)) / (1 - alpha)`. Where `s^2 <= 0`, which needs `alpha > 1`, the
    integral diverges and the value is infinite.

    Source: Gil, Alajaji and Linder 2013, "Renyi divergence measures for commonly used univariate continuous
    distributions"; van Erven and Harremoes 2012, arXiv:1206.2459.

    >>> import jax.numpy as jnp
    >>> float(renyi_normal((jnp.ones(2), jnp.ones(2)), (jnp.zeros(2), jnp.ones(2)), alpha=0.5, reduce="sum"))
    0.5

    Args:
        p: mean and standard deviation, arrays of one shape.
        q: the same.
        alpha: order, above 0.
        reduce: mean over all entries, or another reduction.

    Raises:
        ValueError: the shapes differ, or `alpha` is not positive.
    """
    if not 0 < alpha < math.inf:
        raise ValueError(f"`alpha` must be above 0 and finite; got {alpha}")
    if alpha == 1:
        return kl_normal(p, q, reduce=reduce)
    mean_p, scale_p, mean_q, scale_q = _normals(p, q)
    variance = (1.0 - alpha) * jnp.square(scale_p) + alpha * jnp.square(scale_q)
    is_finite = variance > 0
    variance = jnp.where(is_finite, variance, 1.0)
    log_ratio = 0.5 * jnp.log(variance) - (1.0 - alpha) * jnp.log(scale_p) - alpha * jnp.log(scale_q)
    values = 0.5 * alpha * jnp.square(mean_p - mean_q) / variance + log_ratio / (1.0 - alpha)
    return reduce_loss(jnp.where(is_finite, values, jnp.inf), reduce)


def alpha_normal(
    p: Normal, q: Normal, *, alpha: float = 0.5, reduce: Reduction = "mean"
) -> Float[Array, "..."]:
    """Alpha-divergence of diagonal normals over the last axis.

    `(1 - integral p^alpha q^(1 - alpha)) / (alpha (1 - alpha))`. It tends to KL(p || q) as alpha -> 1 and to
    KL(q || p) as alpha -> 0, and is four times the squared Hellinger
    distance at 1/2. Divergences of independent entries do not add, so the last axis holds one distribution.

    Source: Minka 2005, "Divergence measures and message passing".

    >>> import jax.numpy as jnp
    >>> p, q = (jnp.ones(2), jnp.ones(2)), (jnp.zeros(2), jnp.ones(2))
    >>> round(float(alpha_normal(p, q, alpha=1.0)), 4), round(float(alpha_normal(p, q, alpha=0.999)), 4)
    (1.0, 0.9995)

    Args:
        p: mean and standard deviation, arrays of one shape with at least one axis.
        q: the same.
        alpha: order, at least 0.
        reduce: mean over all distributions, or another reduction.

    Raises:
        ValueError: the shapes differ, or `alpha` is negative.
    """
    if not 0 <= alpha < math.inf:
        raise ValueError(f"`alpha` must be at least 0 and finite; got {alpha}")
    if alpha == 0:
        p, q, alpha = q, p, 1.0
    renyi = jnp.sum(renyi_normal(p, q, alpha=alpha, reduce="none"), axis=-1)
    if alpha == 1:
        return reduce_loss(renyi, reduce)
    return reduce_loss(jnp.expm1((alpha - 1.0) * renyi) / (alpha * (alpha - 1.0)), reduce)


def _normals(p: Normal, q: Normal) -> tuple[Array, Array, Array, Array]:
    mean_p, scale_p = matched(*p)
    mean_q, scale_q = matched(*q)
    mean_p, mean_q = matched(mean_p, mean_q)
    return mean_p, scale_p, mean_q, scale_q
