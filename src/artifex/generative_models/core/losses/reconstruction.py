"""Losses between a prediction and a target of the same shape. `reduce` is explained in `reduction`."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.losses.reduction import (
    Reduction,
    Values,
    absolute,
    matched,
    reduce_loss,
)


def mse(prediction: Values, target: Values, *, reduce: Reduction = "mean") -> Float[Array, "..."]:
    """Squared error, `(prediction - target)^2`.

    >>> import jax.numpy as jnp
    >>> float(mse(jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0])))
    2.0

    Args:
        prediction: array of any shape.
        target: array of the same shape.
        reduce: mean over all entries, or another reduction.

    Raises:
        ValueError: the shapes differ.
    """
    prediction, target = matched(prediction, target)
    return reduce_loss(jnp.square(prediction - target), reduce)


def mae(prediction: Values, target: Values, *, reduce: Reduction = "mean") -> Float[Array, "..."]:
    """Absolute error, `|prediction - target|`; its gradient at equality is 0.

    >>> import jax.numpy as jnp
    >>> float(mae(jnp.array([1.0, 2.0]), jnp.array([1.0, 4.0])))
    1.0

    Args:
        prediction: array of any shape.
        target: array of the same shape.
        reduce: mean over all entries, or another reduction.

    Raises:
        ValueError: the shapes differ.
    """
    prediction, target = matched(prediction, target)
    return reduce_loss(absolute(prediction - target), reduce)


def huber(
    prediction: Values, target: Values, *, delta: float = 1.0, reduce: Reduction = "mean"
) -> Float[Array, "..."]:
    """`error^2 / 2` for errors up to `delta`, `delta (|error| - delta / 2)` beyond.

    Source: Huber 1964, "Robust estimation of a location parameter".

    >>> import jax.numpy as jnp
    >>> huber(jnp.array([0.5, 3.0]), jnp.zeros(2), reduce="none").tolist()
    [0.125, 2.5]

    Args:
        prediction: array of any shape.
        target: array of the same shape.
        delta: error at which the parabola becomes a line, above 0.
        reduce: mean over all entries, or another reduction.

    Raises:
        ValueError: the shapes differ, or `delta` is not positive.
    """
    if not delta > 0:
        raise ValueError(f"`delta` must be above 0; got {delta}")
    prediction, target = matched(prediction, target)
    error = jnp.abs(prediction - target)
    within = jnp.minimum(error, delta)
    return reduce_loss(within * (error - 0.5 * within), reduce)


def charbonnier(
    prediction: Values, target: Values, *, epsilon: float = 1e-3, reduce: Reduction = "mean"
) -> Float[Array, "..."]:
    """Smooth absolute error, `sqrt(error^2 + epsilon^2)`; its least value is `epsilon`.

    Source: Charbonnier et al. 1994; Lai et al. 2017, arXiv:1710.01992.

    >>> import jax.numpy as jnp
    >>> float(charbonnier(jnp.array([3.0]), jnp.array([0.0]), epsilon=4.0))
    5.0

    Args:
        prediction: array of any shape.
        target: array of the same shape.
        epsilon: width of the rounded corner at 0, above 0.
        reduce: mean over all entries, or another reduction.

    Raises:
        ValueError: the shapes differ, or `epsilon` is not positive.
    """
    if not epsilon > 0:
        raise ValueError(f"`epsilon` must be above 0; got {epsilon}")
    prediction, target = matched(prediction, target)
    return reduce_loss(jnp.sqrt(jnp.square(prediction - target) + epsilon**2), reduce)


def binary_cross_entropy_with_logits(
    logits: Values, target: Values, *, reduce: Reduction = "mean"
) -> Float[Array, "..."]:
    """`-target log p - (1 - target) log(1 - p)` with `p = sigmoid(logits)`, in nats; exact at any finite logit.

    >>> import jax.numpy as jnp
    >>> float(binary_cross_entropy_with_logits(jnp.array([200.0, -200.0]), jnp.array([0.0, 0.0])))
    100.0

    Args:
        logits: array of any shape.
        target: array of the same shape, values in [0, 1].
        reduce: mean over all entries, or another reduction.

    Raises:
        ValueError: the shapes differ.
    """
    logits, target = matched(logits, target)
    # Two terms of one sign: `softplus(logits) - target * logits` loses all digits where the loss is small.
    values = target * jax.nn.softplus(-logits) + (1.0 - target) * jax.nn.softplus(logits)
    return reduce_loss(values, reduce)


def binary_cross_entropy(
    probabilities: Values, target: Values, *, reduce: Reduction = "mean"
) -> Float[Array, "..."]:
    """`-target log p - (1 - target) log(1 - p)`, in nats.

    Prefer the version with logits where there are logits. `p` is kept one rounding unit of its type away
    from 0 and 1, so the loss of an entry is at most 16.6 nats in
    float32, and the gradient there is large but finite.

    >>> import jax.numpy as jnp
    >>> round(float(binary_cross_entropy(jnp.array([0.5]), jnp.array([1.0]))), 4)
    0.6931

    Args:
        probabilities: array of any shape, values in [0, 1].
        target: array of the same shape, values in [0, 1].
        reduce: mean over all entries, or another reduction.

    Raises:
        ValueError: the shapes differ.
    """
    probabilities, target = matched(probabilities, target)
    limit = jnp.finfo(probabilities.dtype).epsneg
    # The clip changes the value alone: with its own zero gradient a saturated wrong entry could never
    # recover.
    inside = probabilities + jax.lax.stop_gradient(
        jnp.clip(probabilities, limit, 1.0 - limit) - probabilities
    )
    return reduce_loss(-target * jnp.log(inside) - (1.0 - target) * jnp.log1p(-inside), reduce)
