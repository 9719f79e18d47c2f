"""Multivariate normal distributions: with a full covariance, and with one of a diagonal and a low rank.

With a diagonal one it is `normal`. `distrax.MultivariateNormalTri` is wrong where it is built under `vmap`.
"""

import abc
from typing import Any

import distrax
import jax
import jax.numpy as jnp
from jax.scipy.linalg import solve_triangular
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractDistribution
from artifex.generative_models.core.distributions.normal import Normal
from artifex.generative_models.core.distributions.special import HALF_LOG_2_PI


class AbstractMultivariateNormal(AbstractDistribution):
    """Vectors along the last axis, normal with a covariance `S S^T` for a matrix S, its root."""

    loc: Float[Array, "... dim"]

    @abc.abstractmethod
    def squared_distance(self, difference: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """`d^T covariance^-1 d`, the squared Mahalanobis length."""

    @abc.abstractmethod
    def half_log_det(self) -> Float[Array, "..."]:
        """Half of the logarithm of the covariance's determinant."""

    @abc.abstractmethod
    def root(self) -> Float[Array, "... dim columns"]:
        """A matrix whose product with its transpose is the covariance."""

    @property
    def event_shape(self) -> tuple[int, ...]:
        """One vector."""
        return self.loc.shape[-1:]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The axes before."""
        return self.loc.shape[:-1]

    def log_prob(self, value: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Log-density in nats."""
        quadratic = -0.5 * self.squared_distance(value - self.loc)
        return quadratic - self.half_log_det() - self.loc.shape[-1] * HALF_LOG_2_PI

    def distance_to_support(self, value: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """All finite vectors belong to it."""
        return jnp.where(jnp.all(jnp.isfinite(value), axis=-1), 0.0, jnp.inf)

    def mean(self) -> Float[Array, "... dim"]:
        """`loc`."""
        return self.loc

    def mode(self) -> Float[Array, "... dim"]:
        """`loc`."""
        return self.loc

    def covariance(self) -> Float[Array, "... dim dim"]:
        """The whole matrix."""
        root = self.root()
        return root @ jnp.swapaxes(root, -1, -2)

    def variance(self) -> Float[Array, "... dim"]:
        """Its diagonal."""
        return jnp.sum(jnp.square(self.root()), axis=-1)

    def entropy(self) -> Float[Array, "..."]:
        """`log det(2 pi e covariance) / 2`, in nats."""
        return self.half_log_det() + self.loc.shape[-1] * (0.5 + HALF_LOG_2_PI)


class MultivariateNormal(AbstractMultivariateNormal):
    """With a full covariance, given by its Cholesky factor.

    Args:
        loc: means.
        scale_tril: lower triangular, with a positive diagonal; entries above the diagonal are not read.
    """

    loc: Float[Array, "... dim"]
    scale_tril: Float[Array, "... dim dim"]

    def squared_distance(self, difference: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """By one triangular solve."""
        return jnp.sum(jnp.square(_solve(self.scale_tril, difference)), axis=-1)

    def half_log_det(self) -> Float[Array, "..."]:
        """Sum of the logarithms of the diagonal."""
        return jnp.sum(jnp.log(jnp.diagonal(self.scale_tril, axis1=-2, axis2=-1)), axis=-1)

    def root(self) -> Float[Array, "... dim dim"]:
        """The Cholesky factor."""
        return jnp.tril(self.scale_tril)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        noise = jax.random.normal(key, (n, *self.loc.shape), self.loc.dtype)
        return self.loc[None] + jnp.einsum("...ij,n...j->n...i", self.root(), noise)


class LowRankNormal(AbstractMultivariateNormal):
    """With the covariance `diag(scale^2) + factor factor^T`.

    With B = factor / scale and M = I + B^T B of size (rank, rank), by the matrix determinant lemma and Woodbury's
    identity, det = det(M) prod(scale^2), and for y = d / scale the squared distance is |y - B c|^2 + |c|^2 with
    c = M^-1 B^T y. That is Woodbury's |y|^2 - y^T B M^-1 B^T y, without the cancellation of its two terms.

    Args:
        loc: means.
        scale: standard deviations of the diagonal part, positive, same shape.
        factor: one column for each rank.
    """

    loc: Float[Array, "... dim"]
    scale: Float[Array, "... dim"]
    factor: Float[Array, "... dim rank"]

    def squared_distance(self, difference: Float[Array, "... dim"]) -> Float[Array, "..."]:
        """Without a matrix of size (dim, dim)."""
        y = difference / self.scale
        ratio, cholesky = self._inner()
        projected = jnp.einsum("...ir,...i->...r", ratio, y)
        c = _solve(cholesky, _solve(cholesky, projected), is_transposed=True)
        rest = y - jnp.einsum("...ir,...r->...i", ratio, c)
        return jnp.sum(jnp.square(rest), axis=-1) + jnp.sum(jnp.square(c), axis=-1)

    def half_log_det(self) -> Float[Array, "..."]:
        """By the matrix determinant lemma."""
        _, cholesky = self._inner()
        diagonal = jnp.diagonal(cholesky, axis1=-2, axis2=-1)
        return jnp.sum(jnp.log(diagonal), axis=-1) + jnp.sum(jnp.log(self.scale), axis=-1)

    def root(self) -> Float[Array, "... dim columns"]:
        """The diagonal and the factor, side by side."""
        diagonal = self.scale[..., None] * jnp.eye(self.loc.shape[-1], dtype=self.loc.dtype)
        return jnp.concatenate([diagonal, self.factor], axis=-1)

    def _inner(self) -> tuple[Array, Array]:
        ratio = self.factor / self.scale[..., None]
        inner = jnp.einsum("...ir,...is->...rs", ratio, ratio)
        return ratio, jnp.linalg.cholesky(inner + jnp.eye(ratio.shape[-1], dtype=ratio.dtype))

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        diagonal_key, factor_key = jax.random.split(key)
        noise = jax.random.normal(diagonal_key, (n, *self.loc.shape), self.loc.dtype)
        shape = (n, *self.loc.shape[:-1], self.factor.shape[-1])
        coefficients = jax.random.normal(factor_key, shape, self.loc.dtype)
        along = jnp.einsum("...ir,n...r->n...i", self.factor, coefficients)
        return self.loc[None] + self.scale[None] * noise + along


def as_multivariate(distribution: distrax.Distribution) -> AbstractMultivariateNormal | None:
    """A multivariate normal, also of independent normal entries along one axis; None for all others."""
    if isinstance(distribution, AbstractMultivariateNormal):
        return distribution
    if isinstance(distribution, distrax.Independent) and distribution.reinterpreted_batch_ndims == 1:
        entries = distribution.distribution
        if isinstance(entries, Normal):
            no_factor = jnp.zeros((*entries.loc.shape, 1), entries.loc.dtype)
            return LowRankNormal(entries.loc, entries.scale, no_factor)
    return None


def _solve(tril: Array, vector: Array, *, is_transposed: bool = False) -> Array:
    """Triangular solves, whose leading axes broadcast."""

    def one(tril: Array, vector: Array) -> Array:
        return solve_triangular(tril, vector, lower=True, trans=1 if is_transposed else 0)

    return jnp.vectorize(one, signature="(d,d),(d)->(d)")(tril, vector)
