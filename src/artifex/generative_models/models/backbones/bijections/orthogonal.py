"""Rotations of vectors, which change no volume."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.models.backbones.bijections.base import (
    AbstractUnconditionalBijection,
    Condition,
    Example,
    LogDet,
    check_vector_shape,
)
from artifex.generative_models.models.backbones.weights import normal_weights


def householder_product(vectors: Float[Array, "num size"]) -> Float[Array, "size size"]:
    """The product of reflections `I - 2 v v^T / |v|^2`, the first vector's leftmost.

    A vector of zeros reflects nothing. In a batch that shares the vectors it is computed once.
    """
    size = vectors.shape[1]

    def reflect(matrix: Array, vector: Array) -> tuple[Array, None]:
        square = jnp.sum(vector**2)
        factor = 2.0 / jnp.where(square > 0, square, 1.0)
        return matrix - factor * jnp.outer(vector, vector @ matrix), None

    return jax.lax.scan(reflect, jnp.eye(size, dtype=vectors.dtype), vectors, reverse=True)[0]


class HouseholderOrthogonal(AbstractUnconditionalBijection):
    """y = Q x, Q a product of reflections.

    As many reflections as entries reach every orthogonal matrix of determinant (-1)^size.

    Source: Tomczak & Welling 2016, arXiv:1611.09630.
    """

    vectors: Float[Array, "num size"]
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self, event_shape: tuple[int, ...], *, num_reflections: int | None = None, key: Key[Array, ""]
    ):
        """Random reflections.

        Args:
            event_shape: (size,).
            num_reflections: how many; None: `size`.
            key: randomness of the vectors.
        """
        size = check_vector_shape("HouseholderOrthogonal", event_shape)
        num = size if num_reflections is None else num_reflections
        if num < 1:
            raise ValueError(f"`num_reflections` must be at least 1; got {num}")
        self.vectors = normal_weights((num, size), key=key)
        self.event_shape = event_shape

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return householder_product(self.vectors) @ x, jnp.zeros(())

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return householder_product(self.vectors).T @ y, jnp.zeros(())


class CayleyOrthogonal(AbstractUnconditionalBijection):
    """y = Q x with Q = (I - A) (I + A)^{-1}, A antisymmetric: every rotation without the eigenvalue -1.

    Attributes:
        triangle: A above the diagonal; the rest is not used.
    """

    triangle: Float[Array, "size size"]
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...], *, scale: float = 0.1, key: Key[Array, ""]):
        """Near the identity.

        Args:
            event_shape: (size,).
            scale: standard deviation of the sum of a row of A; 0: the identity.
            key: randomness of A.
        """
        size = check_vector_shape("CayleyOrthogonal", event_shape)
        self.triangle = normal_weights((size, size), scale * size**-0.5, key=key)
        self.event_shape = event_shape

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return self._matrix() @ x, jnp.zeros(())

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return self._matrix().T @ y, jnp.zeros(())

    def _matrix(self) -> Array:
        upper = jnp.triu(self.triangle, 1)
        skew = (upper - upper.T).astype(jnp.promote_types(upper.dtype, jnp.float32))
        identity = jnp.eye(len(skew), dtype=skew.dtype)
        return jnp.linalg.solve(identity + skew, identity - skew)  # the two factors commute
