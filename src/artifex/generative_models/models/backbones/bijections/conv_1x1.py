"""The invertible 1x1 convolution."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.models.backbones.bijections.base import (
    AbstractUnconditionalBijection,
    Condition,
    Example,
    LogDet,
    log_det_sum,
)
from artifex.generative_models.models.backbones.bijections.squeeze import check_image_shape


class InvertibleConv1x1(AbstractUnconditionalBijection):
    """From data y to latent, x = W y at each pixel, with W = P L U.

    P is a fixed permutation, L lower triangular with ones on the diagonal, U upper triangular with the diagonal
    sign * exp(log-scale) and fixed signs. The other direction solves two triangular systems.

    Source: Kingma & Dhariwal 2018 (Glow), arXiv:1807.03039, section 3.2, equations 10 and 11.

    Attributes:
        factors: L below the diagonal, U above it, and the logarithm of the absolute value of U's diagonal on it.
        signs: 1 or -1 for each entry of U's diagonal.
        permutation: P, as `P[i, permutation[i]] = 1`.
    """

    factors: Float[Array, "channels channels"]
    signs: Int[Array, " channels"]
    permutation: Int[Array, " channels"]
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...], *, key: Key[Array, ""]):
        """At first a random rotation.

        Args:
            event_shape: (channels, height, width).
            key: randomness of the rotation.
        """
        check_image_shape("InvertibleConv1x1", event_shape)
        rotation = jax.random.orthogonal(key, event_shape[0])
        factors, _, permutation = jax.lax.linalg.lu(rotation)  # rotation[permutation] = L U
        diagonal = jnp.diagonal(factors)
        self.factors = factors + jnp.diag(jnp.log(jnp.abs(diagonal)) - diagonal)
        self.signs = jnp.where(diagonal < 0, -1, 1).astype(jnp.int32)
        self.permutation = jnp.argsort(permutation).astype(jnp.int32)
        self.event_shape = event_shape

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        lower, upper = self._triangles()
        dtype = jnp.result_type(lower, x, jnp.float32)
        columns = x.reshape(x.shape[0], -1)[jnp.argsort(self.permutation)].astype(dtype)
        columns = jax.scipy.linalg.solve_triangular(
            lower.astype(dtype), columns, lower=True, unit_diagonal=True
        )
        columns = jax.scipy.linalg.solve_triangular(upper.astype(dtype), columns)
        return columns.reshape(x.shape), -self._log_det()

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        lower, upper = self._triangles()
        matrix = (lower @ upper)[self.permutation]
        return (matrix @ y.reshape(y.shape[0], -1)).reshape(y.shape), self._log_det()

    def _log_det(self) -> LogDet:
        """Of the map from data to latent."""
        _, height, width = self.event_shape
        return height * width * log_det_sum(jnp.diagonal(self.factors))

    def _triangles(self) -> tuple[Array, Array]:
        diagonal = self.signs.astype(self.factors.dtype) * jnp.exp(jnp.diagonal(self.factors))
        identity = jnp.eye(len(self.factors), dtype=self.factors.dtype)
        return jnp.tril(self.factors, -1) + identity, jnp.triu(self.factors, 1) + jnp.diag(diagonal)
