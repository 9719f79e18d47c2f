"""Penalties on parameters and on functions. `reduce` is explained in `reduction`."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.losses.reduction import (
    Reduction,
    Values,
    absolute,
    as_float,
    reduce_loss,
)
from artifex.generative_models.core.random import example_keys
from artifex.generative_models.core.trainable import partition_trainable


def l1(model: Any) -> Float[Array, ""]:
    """Sum of absolute values of all trainable leaves; buffers do not count.

    >>> import jax.numpy as jnp
    >>> float(l1({"weight": jnp.array([1.0, -2.0]), "count": jnp.array(7)}))
    3.0
    """
    return _sum_over_leaves(absolute, model)


def l2(model: Any) -> Float[Array, ""]:
    """Sum of squares of all trainable leaves (no factor 1/2); buffers do not count.

    >>> import jax.numpy as jnp
    >>> float(l2({"weight": jnp.array([1.0, -2.0]), "count": jnp.array(7)}))
    5.0
    """
    return _sum_over_leaves(lambda leaf: jnp.square(jnp.abs(leaf)), model)


def orthogonality(weight: Values) -> Float[Array, ""]:
    """Squared distance of the Gram matrix from the identity: 0 where rows (or columns) are orthonormal.

    The smaller side is used: `|W W^T - I|^2` for a wide matrix, `|W^T W - I|^2` for a tall one.

    Source: Brock et al. 2016, arXiv:1609.07093, section 3.2, with squares in place of absolute values.

    >>> import jax.numpy as jnp
    >>> float(orthogonality(jnp.eye(2, 3))), float(orthogonality(2.0 * jnp.eye(2, 3)))
    (0.0, 18.0)

    Args:
        weight: shape `(out_size, ...)`; a convolution's kernel counts as a matrix with `out_size` rows.

    Raises:
        ValueError: `weight` has fewer than two axes.
    """
    weight = as_float(weight)
    if weight.ndim < 2:
        raise ValueError(f"`weight` must be a matrix or a convolution's kernel; got shape {weight.shape}")
    matrix = weight.reshape(len(weight), -1)
    if matrix.shape[0] > matrix.shape[1]:
        matrix = matrix.T
    return jnp.sum(jnp.square(matrix @ matrix.T - jnp.eye(len(matrix), dtype=matrix.dtype)))


def gradient_penalty(
    function: Callable[[Array], Float[Array, ""]],
    x: Values,
    *,
    target: float = 1.0,
    reduce: Reduction = "mean",
) -> Float[Array, "..."]:
    """`(|gradient of function at x| - target)^2` for each example; finite where the gradient is 0.

    Source: Gulrajani et al. 2017, arXiv:1704.00028, equation 3 (`target=1`, at points between real and
    generated examples); Mescheder et al. 2018, arXiv:1801.04406, equation 9 (R1: `target=0`, at real examples).

    >>> import jax.numpy as jnp
    >>> float(gradient_penalty(lambda x: 3.0 * jnp.sum(x), jnp.zeros((5, 1)), target=1.0))
    4.0

    Args:
        function: maps one example to a scalar, such as a critic.
        x: batch of examples.
        target: wanted norm of the gradient.
        reduce: mean over the batch, or another reduction.
    """
    gradients = jax.vmap(jax.grad(function))(as_float(x))
    squared = jnp.sum(jnp.square(gradients.reshape(len(gradients), -1)), axis=1)
    if target == 0:
        return reduce_loss(squared, reduce)
    # The norm has no derivative at 0; there it is taken as 0.
    is_positive = squared > 0
    norms = jnp.where(is_positive, jnp.sqrt(jnp.where(is_positive, squared, 1.0)), 0.0)
    return reduce_loss(jnp.square(norms - target), reduce)


def jacobian_penalty(
    function: Callable[[Array], Array],
    x: Values,
    *,
    key: Key[Array, ""],
    num_projections: int = 1,
    reduce: Reduction = "mean",
) -> Float[Array, "..."]:
    """Estimate of the squared Frobenius norm of the Jacobian for each example, by random projections.

    For v uniform on the unit sphere of the output space, `out_size * E |v^T J|^2 = |J|^2`, so it is unbiased.

    Source: Hoffman et al. 2019, arXiv:1908.02729, equation 9.

    Args:
        function: maps one example to an array.
        x: batch of examples.
        key: randomness of the projections; example `i` uses `fold_in(key, i)`.
        num_projections: projections for each example; the variance falls as its inverse.
        reduce: mean over the batch, or another reduction.

    Raises:
        ValueError: `num_projections` is below 1.
    """
    if num_projections < 1:
        raise ValueError(f"`num_projections` must be at least 1; got {num_projections}")
    x = as_float(x)

    def one(example: Array, key: Array) -> Array:
        out, pull_back = jax.vjp(function, example)

        def projected(key: Array) -> Array:
            direction = jax.random.normal(key, out.shape, out.dtype)
            (row,) = pull_back(direction / jnp.linalg.norm(direction.ravel()))
            return out.size * jnp.sum(jnp.square(row))

        return jnp.mean(jax.vmap(projected)(jax.random.split(key, num_projections)))

    return reduce_loss(jax.vmap(one)(x, example_keys(key, len(x))), reduce)


def total_variation(images: Values, *, reduce: Reduction = "mean") -> Float[Array, "..."]:
    """Anisotropic total variation: the sum of absolute differences of neighbouring pixels of each image.

    Source: Rudin, Osher and Fatemi 1992, in the anisotropic form.

    >>> import jax.numpy as jnp
    >>> float(total_variation(jnp.array([[[[0.0, 1.0], [0.0, 1.0]]]])))
    2.0

    Args:
        images: shape `(..., channels, height, width)`.
        reduce: mean over images, or another reduction.

    Raises:
        ValueError: there are fewer than three axes.
    """
    images = as_float(images)
    if images.ndim < 3:
        raise ValueError(f"`images` must have shape (..., channels, height, width); got {images.shape}")
    down = absolute(jnp.diff(images, axis=-2))
    right = absolute(jnp.diff(images, axis=-1))
    return reduce_loss(jnp.sum(down, axis=(-3, -2, -1)) + jnp.sum(right, axis=(-3, -2, -1)), reduce)


def _sum_over_leaves(function: Callable[[Array], Array], model: Any) -> Array:
    trainable, _ = partition_trainable(model)
    sums = [jnp.sum(function(leaf).astype(jnp.float32)) for leaf in jax.tree.leaves(trainable)]
    return sum(sums, jnp.zeros((), jnp.float32))
