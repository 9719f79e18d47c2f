"""Linear maps of vectors: permutations, and a matrix by its LU decomposition."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.models.backbones.bijections.base import (
    AbstractUnconditionalBijection,
    Condition,
    Example,
    LogDet,
    check_vector_shape,
    log_det_sum,
)
from artifex.generative_models.models.backbones.weights import normal_weights


class Permutation(AbstractUnconditionalBijection):
    """y_i = x_{permutation_i}.

    The indices are an array, so that layers with different permutations can be scanned.

    >>> Permutation(jnp.array([2, 0, 1])).forward(jnp.array([10.0, 20.0, 30.0]))
    Array([30., 10., 20.], dtype=float32)
    """

    permutation: Int[Array, " size"]
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, permutation: Any):
        """Build it.

        Args:
            permutation: the indices `0 ... size - 1` in any order; `jax.random.permutation(key, size)` draws them.

        Raises:
            ValueError: they are no permutation.
        """
        is_known = not isinstance(permutation, Tracer)
        if is_known and sorted(np.asarray(permutation).tolist()) != [*range(len(permutation))]:
            raise ValueError(
                f"`permutation` must hold each of 0 to {len(permutation) - 1} once; got {permutation}"
            )
        self.permutation = jnp.asarray(permutation, jnp.int32)
        self.event_shape = self.permutation.shape

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return x.at[self.permutation].get(unique_indices=True, mode="promise_in_bounds"), jnp.zeros(())

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        inverse = jnp.argsort(self.permutation)
        return y.at[inverse].get(unique_indices=True, mode="promise_in_bounds"), jnp.zeros(())


class Reverse(AbstractUnconditionalBijection):
    """The entries of an axis in reverse order."""

    event_shape: tuple[int, ...] = eqx.field(static=True)
    axis: int = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...], axis: int = -1):
        """Build it.

        Args:
            event_shape: shape of one example.
            axis: which axis; negative: from the last.

        Raises:
            ValueError: examples have no such axis.
        """
        if not -len(event_shape) <= axis < len(event_shape):
            raise ValueError(
                f"`Reverse` needs an axis to reverse; got the `event_shape` {event_shape} and the axis {axis}"
            )
        self.event_shape = event_shape
        self.axis = axis

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return jnp.flip(x, self.axis), jnp.zeros(())

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return jnp.flip(y, self.axis), jnp.zeros(())


class LULinear(AbstractUnconditionalBijection):
    """y = L U x + b, L lower triangular with ones on the diagonal, U upper triangular with a positive one.

    Source: Oliva et al. 2018, arXiv:1801.09819, section 3.3, and Kingma & Dhariwal 2018 (Glow), arXiv:1807.03039,
    equation 11, without the fixed permutation: put a `Permutation` beside it.

    Attributes:
        factors: L below the diagonal, U above it, and the logarithm of U's diagonal on it.
        bias: b.
    """

    factors: Float[Array, "size size"]
    bias: Float[Array, " size"]
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...], *, scale: float = 0.1, key: Key[Array, ""]):
        """Near the identity.

        Args:
            event_shape: (size,).
            scale: standard deviation of the sum of a row of factors; 0: the identity.
            key: randomness of the factors.
        """
        size = check_vector_shape("LULinear", event_shape)
        self.factors = normal_weights((size, size), scale * size**-0.5, key=key)
        self.bias = jnp.zeros(size)
        self.event_shape = event_shape

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        lower, upper = self._triangles()
        return lower @ (upper @ x) + self.bias, log_det_sum(jnp.diagonal(self.factors))

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        lower, upper = self._triangles()
        dtype = jnp.result_type(lower, y, jnp.float32)
        centred = (y - self.bias).astype(dtype)
        x = jax.scipy.linalg.solve_triangular(lower.astype(dtype), centred, lower=True, unit_diagonal=True)
        x = jax.scipy.linalg.solve_triangular(upper.astype(dtype), x)
        return x, -log_det_sum(jnp.diagonal(self.factors))

    def _triangles(self) -> tuple[Array, Array]:
        diagonal = jnp.diag(jnp.exp(jnp.diagonal(self.factors)))
        identity = jnp.eye(len(self.factors), dtype=self.factors.dtype)
        return jnp.tril(self.factors, -1) + identity, jnp.triu(self.factors, 1) + diagonal
