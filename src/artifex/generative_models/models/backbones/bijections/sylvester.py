"""Sylvester flows.

    y = x + Q R tanh(S Q^T x + b),    log |det dy/dx| = sum_i log(1 + R_ii S_ii tanh'(...)_i),

with Q of M orthonormal columns, R and S upper triangular, and R_ii S_ii > -1. Source: van den Berg et al. 2018,
arXiv:1803.05649, sections 3 and 4.2 (Householder). The inverse, which the paper does not have: z = Q^T x solves

    z + R tanh(S z + b) = Q^T y,

whose rows hold one unknown each if they are solved from the last to the first.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.models.backbones.bijections.base import (
    AbstractSameShapeBijection,
    Condition,
    Example,
    LogDet,
    check_vector_shape,
    log_det_sum,
)
from artifex.generative_models.models.backbones.bijections.orthogonal import householder_product
from artifex.generative_models.models.backbones.bijections.parameters import ConditionalVector
from artifex.generative_models.models.backbones.bijections.roots import increasing_root

_MOST = 0.999  # of the product of diagonal entries, in size


class Sylvester(AbstractSameShapeBijection):
    """A planar flow with several units.

    Attributes:
        parameters: the vectors of the reflections that make Q; R, S, and b.
        num_units: M.
    """

    parameters: ConditionalVector
    num_units: int = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        event_shape: tuple[int, ...],
        *,
        num_units: int | None = None,
        condition_size: int = 0,
        key: Key[Array, ""],
    ):
        """Random parameters.

        Args:
            event_shape: (size,).
            num_units: M, at most `size`; None: `size`.
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the parameters.

        Raises:
            ValueError: there are more units than entries.
        """
        size = check_vector_shape("Sylvester", event_shape)
        num = size if num_units is None else num_units
        if not 1 <= num <= size:
            raise ValueError(
                f"`num_units` must lie between 1 and the {size} entries of an example; got {num}"
            )
        self.parameters = ConditionalVector(
            num * (size + 2 * num + 1), condition_size=condition_size, scale=0.5, key=key
        )
        self.num_units = num
        self.event_shape = event_shape
        self.condition_size = condition_size

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        basis, outer, inner, bias = self._split(condition)
        h = jnp.tanh(inner @ (basis.T @ x) + bias)
        return x + basis @ (outer @ h), _log_det(h, outer, inner)

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        basis, outer, inner, bias = self._split(condition)
        targets = basis.T @ y

        def solve_row(carry: tuple[Array, Array], index: Int[Array, ""]) -> tuple[tuple[Array, Array], None]:
            z, h = carry  # zero at this row and those before it
            r, s = outer[index, index], inner[index, index]
            target = targets[index] - outer[index] @ h
            shift = inner[index] @ z + bias[index]
            reach = jnp.abs(r)
            z_i = increasing_root(
                lambda a: a + r * jnp.tanh(s * a + shift) - target, target - reach, target + reach
            )
            return (z.at[index].set(z_i), h.at[index].set(jnp.tanh(s * z_i + shift))), None

        zeros = jnp.zeros_like(targets)
        rows = jnp.arange(self.num_units)
        (_, h), _ = jax.lax.scan(solve_row, (zeros, zeros), rows, reverse=True)
        return y - basis @ (outer @ h), -_log_det(h, outer, inner)

    def _split(self, condition: Condition | None) -> tuple[Array, Array, Array, Array]:
        """Q, R, S and b."""
        size, num = self.event_shape[0], self.num_units
        vectors, outer, inner, bias = jnp.split(
            self.parameters(condition), (num * size, num * (size + num), num * (size + 2 * num))
        )
        basis = householder_product(vectors.reshape(num, size))[:, :num]
        return basis, _triangle(outer.reshape(num, num), 1.0), _triangle(inner.reshape(num, num), _MOST), bias


def _triangle(matrix: Float[Array, "num num"], most: float) -> Float[Array, "num num"]:
    """The upper triangle, with a bounded diagonal."""
    return jnp.triu(matrix, 1) + jnp.diag(most * jnp.tanh(jnp.diagonal(matrix)))


def _log_det(
    h: Float[Array, " num"], outer: Float[Array, "num num"], inner: Float[Array, "num num"]
) -> LogDet:
    return log_det_sum(jnp.log1p(jnp.diagonal(outer) * jnp.diagonal(inner) * (1.0 - h**2)))
