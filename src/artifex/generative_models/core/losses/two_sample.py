"""Distances between the distributions behind two batches of samples: they need whole batches.

For distances of kernel form, `h(x, x') + h(y, y') - 2 h(x, y)` in the mean, there are two estimators: the
unbiased U-statistic leaves out the pairs of a sample with itself (and can be negative), the biased
V-statistic keeps them (and never is). Each takes time proportional to n * m * size, and no array of that
size is stored under `jit`.
"""

from collections.abc import Callable
from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.losses.reduction import Values, as_float

Estimator = Literal["unbiased", "biased"]
Kernel = Callable[[Float[Array, "n m"]], Float[Array, "n m"]]


class RBFKernel(eqx.Module):
    """Mean over scales of `exp(-d^2 / (2 scale^2))`, a function of squared distances `d^2`.

    Attributes:
        scales: length scales, in the units of the samples, above 0.
    """

    scales: tuple[float, ...] = eqx.field(static=True, default=(0.5, 1.0, 2.0, 4.0))

    def __check_init__(self) -> None:
        _check_scales(self.scales)

    def __call__(self, squared_distance: Float[Array, "n m"]) -> Float[Array, "n m"]:
        """Kernel values; 1 at distance 0."""
        terms = [jnp.exp(-0.5 * squared_distance / scale**2) for scale in self.scales]
        return sum(terms[1:], terms[0]) / len(terms)


class IMQKernel(eqx.Module):
    """Mean over scales of the inverse multiquadratic `c / (c + d^2)`, `c = scale^2`: felt far out, too.

    Source: Tolstikhin et al. 2017, arXiv:1711.01558, section 4, which takes `c = 2 size sigma^2` for samples
    of `size` entries against a prior of standard deviation sigma.

    Attributes:
        scales: length scales, in the units of the samples, above 0.
    """

    scales: tuple[float, ...] = eqx.field(static=True, default=(0.5, 1.0, 2.0, 4.0))

    def __check_init__(self) -> None:
        _check_scales(self.scales)

    def __call__(self, squared_distance: Float[Array, "n m"]) -> Float[Array, "n m"]:
        """Kernel values; 1 at distance 0."""
        terms = [scale**2 / (scale**2 + squared_distance) for scale in self.scales]
        return sum(terms[1:], terms[0]) / len(terms)


def mmd_batch(
    x: Values, y: Values, *, kernel: Kernel | None = None, estimator: Estimator = "unbiased"
) -> Float[Array, ""]:
    """Squared maximum mean discrepancy, `E k(x, x') + E k(y, y') - 2 E k(x, y)`.

    Source: Gretton et al. 2012, JMLR 13, equations 3 (unbiased) and 5 (biased).

    >>> import jax.numpy as jnp
    >>> x = jnp.array([[0.0], [1.0]])
    >>> float(mmd_batch(x, x, estimator="biased"))
    0.0

    Args:
        x: samples, shape `(n, *event)`.
        y: samples, shape `(m, *event)`.
        kernel: function of an array of squared distances, such as `RBFKernel(scales=(1.0,))` or
            `IMQKernel()`;
            None: `RBFKernel()`.
        estimator: `"unbiased"` (needs two samples of each) or `"biased"`.

    Raises:
        ValueError: shapes do not fit, or there are too few samples.
    """
    kernel = RBFKernel() if kernel is None else kernel
    within_x, within_y, between = _mean_pairs(lambda a, b: kernel(_squared_distances(a, b)), x, y, estimator)
    return within_x + within_y - 2.0 * between


def energy_distance_batch(x: Values, y: Values, *, estimator: Estimator = "unbiased") -> Float[Array, ""]:
    """`2 E |x - y| - E |x - x'| - E |y - y'|` with Euclidean norms; the gradient of `|0|` is taken as 0.

    Source: Szekely and Rizzo 2013, "Energy statistics: a class of statistics based on distances".

    >>> import jax.numpy as jnp
    >>> float(energy_distance_batch(jnp.zeros((3, 2)), jnp.array([[3.0, 4.0], [3.0, 4.0]])))
    10.0

    Args:
        x: samples, shape `(n, *event)`.
        y: samples, shape `(m, *event)`.
        estimator: `"unbiased"` (needs two samples of each) or `"biased"`.

    Raises:
        ValueError: shapes do not fit, or there are too few samples.
    """
    within_x, within_y, between = _mean_pairs(
        lambda a, b: _safe_sqrt(_squared_distances(a, b)), x, y, estimator
    )
    return 2.0 * between - within_x - within_y


def sliced_wasserstein_batch(
    x: Values, y: Values, *, key: Key[Array, ""], num_projections: int = 64, order: float = 2.0
) -> Float[Array, ""]:
    """Mean over random directions of the one-dimensional Wasserstein distance to the power `order`.

    In one dimension the optimal plan pairs the sorted samples.

    Source: Bonneel et al. 2015, "Sliced and Radon Wasserstein barycenters of measures", definition 5. The
    power `1 / order` is left out: the estimate over directions is unbiased without it, and smooth where x
    equals y.

    >>> import jax, jax.numpy as jnp
    >>> x = jnp.array([[0.0], [1.0]])
    >>> float(sliced_wasserstein_batch(x, x + 3.0, key=jax.random.key(0)))
    9.0

    Args:
        x: samples, shape `(n, *event)`.
        y: as many samples.
        key: randomness of the directions.
        num_projections: number of directions.
        order: exponent, at least 1.

    Raises:
        ValueError: the shapes differ, or a number is out of range.
    """
    x, y = _flat(x, y)
    if x.shape != y.shape:
        raise ValueError(
            f"sorted samples are paired, so `x` and `y` must be equally many; got {len(x)} and {len(y)}"
        )
    if num_projections < 1 or not order >= 1:
        raise ValueError(
            f"`num_projections` and `order` must be at least 1; got {num_projections} and {order}"
        )
    directions = jax.random.normal(key, (x.shape[1], num_projections), x.dtype)
    directions = directions / jnp.linalg.norm(directions, axis=0, keepdims=True)
    gaps = jnp.abs(jnp.sort(x @ directions, axis=0) - jnp.sort(y @ directions, axis=0))
    return jnp.mean(gaps**order)


def _mean_pairs(
    pairwise: Callable[[Array, Array], Array], x: Values, y: Values, estimator: Estimator
) -> tuple[Array, Array, Array]:
    """Means of `pairwise` over the pairs within x, within y, and between them."""
    x, y = _flat(x, y)
    if estimator not in ("unbiased", "biased"):
        raise ValueError(f"`estimator` must be 'unbiased' or 'biased'; got {estimator!r}")
    if estimator == "unbiased" and min(len(x), len(y)) < 2:
        raise ValueError(
            f"the unbiased estimator needs two samples of each; got {len(x)} and {len(y)}. "
            "Use estimator='biased'."
        )

    def within(samples: Array) -> Array:
        num, values = len(samples), pairwise(samples, samples)
        if estimator == "biased":
            return jnp.mean(values)
        return jnp.sum(jnp.where(jnp.eye(num, dtype=bool), 0.0, values)) / (num * (num - 1))

    return within(x), within(y), jnp.mean(pairwise(x, y))


def _flat(x: Values, y: Values) -> tuple[Array, Array]:
    x, y = as_float(x), as_float(y)
    if x.ndim == 0 or y.ndim == 0 or x.shape[1:] != y.shape[1:]:
        raise ValueError(f"`x` and `y` must be batches of examples of one shape; got {x.shape} and {y.shape}")
    if x.size == 0 or y.size == 0:
        raise ValueError(f"`x` and `y` must not be empty; got {x.shape} and {y.shape}")
    return x.reshape(len(x), -1), y.reshape(len(y), -1)


def _squared_distances(x: Array, y: Array) -> Array:
    # Differences, not norms and inner products: exactly 0 for equal samples, and no cancellation for near
    # ones.
    return jnp.sum(jnp.square(x[:, None, :] - y[None, :, :]), axis=-1)


def _safe_sqrt(values: Array) -> Array:
    is_positive = values > 0
    return jnp.where(is_positive, jnp.sqrt(jnp.where(is_positive, values, 1.0)), 0.0)


def _check_scales(scales: tuple[float, ...]) -> None:
    if not scales or not all(scale > 0 for scale in scales):
        raise ValueError(f"`scales` must be one or more length scales above 0; got {scales}")
