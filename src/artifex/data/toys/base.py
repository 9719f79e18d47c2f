"""What all toy distributions have in common.

A toy is a mixture of equally probable components (moons, Gaussians, rings, ...) in the plane. All its numbers are
static, so a toy is hashable and equal to another of the same numbers, and nothing of it is a model's parameter.
"""

import abc
import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from artifex.data.toys.quadrature import grid_points
from artifex.generative_models.core.random import check_key, example_keys

Point = Float[Array, "2"]
Limits = tuple[float, float, float, float]


class AbstractToy(eqx.Module):
    """A distribution of points in the plane."""

    @property
    @abc.abstractmethod
    def num_classes(self) -> int:
        """Number of components, all equally probable."""

    @property
    @abc.abstractmethod
    def limits(self) -> Limits:
        """Rectangle `(x_min, x_max, y_min, y_max)` outside which there is less than 1e-6 of the probability."""

    @property
    @abc.abstractmethod
    def resolution(self) -> float:
        """The smallest length on which the density changes: a standard deviation, or the side of a cell."""

    @property
    @abc.abstractmethod
    def modes(self) -> Float[np.ndarray, "modes 2"] | None:
        """Centres of round Gaussians with the standard deviation `resolution`; None: it is no mixture of such."""

    @abc.abstractmethod
    def _sample_one(self, label: Int[Array, ""], *, key: Key[Array, ""]) -> Point:
        """One point of the component `label`."""

    @abc.abstractmethod
    def _log_prob_one(self, x: Point) -> Float[Array, ""]:
        """Log-density at one point, in nats."""

    def sample(self, n: int, *, key: Key[Array, ""]) -> Float[Array, "n 2"]:
        """New points; point `i` is made with `fold_in(key, i)`, so it does not depend on `n`."""
        return self.labelled_sample(n, key=key)[0]

    def labelled_sample(self, n: int, *, key: Key[Array, ""]) -> tuple[Float[Array, "n 2"], Int[Array, " n"]]:
        """The points of `sample`, and the numbers of their components, in [0, num_classes)."""
        check_key(key)
        if n < 1:
            raise ValueError(f"`n` must be at least 1; got {n}")
        return _labelled_sample(self, example_keys(key, n))

    def log_prob(self, x: Float[Array | np.ndarray, "batch 2"]) -> Float[Array, " batch"]:
        """Log-density of each point, in nats; minus infinity where there can be none."""
        return _log_prob(self, jnp.asarray(x, jnp.float32))

    def entropy(self) -> float:
        """Minus the mean log-density, in nats: the least negative log-likelihood that a model can reach.

        By the trapezoidal rule on a grid over `limits`, which for smooth densities is exact to about 1e-5.
        """
        return _entropy(self)


@eqx.filter_jit
def _labelled_sample(toy: AbstractToy, keys: Key[Array, " n"]) -> tuple[Array, Array]:
    def one(key: Key[Array, ""]) -> tuple[Array, Array]:
        label_key, point_key = jax.random.split(key)
        label = jax.random.randint(label_key, (), 0, toy.num_classes)
        return toy._sample_one(label, key=point_key).astype(jnp.float32), label

    return jax.vmap(one)(keys)


@eqx.filter_jit
def _log_prob(toy: AbstractToy, x: Float[Array, "batch 2"]) -> Float[Array, " batch"]:
    return jax.vmap(toy._log_prob_one)(x)


@functools.cache
def _entropy(toy: AbstractToy) -> float:
    total = 0.0
    points, area = grid_points(toy.limits, toy.resolution / 2)
    for start in range(0, len(points), 1 << 14):
        log_prob = np.asarray(toy.log_prob(points[start : start + (1 << 14)]), np.float64)
        known = log_prob[np.isfinite(log_prob)]
        total -= area * float(np.sum(np.exp(known) * known))
    return total
