"""The inverse of x + g(x) for a contraction g, with derivatives by the implicit function theorem."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Vector = Float[Array, " size"]

_MAX_STEPS = 1000


def residual_root(g: Callable[[Vector], Vector], target: Vector) -> Vector:
    """The y with y + g(y) = target, by the iteration y <- target - g(y).

    The error shrinks by g's Lipschitz constant with each step; it ends when a step changes nothing more than
    rounding does. All derivatives with respect to `target` and to what `g` closes over are right.

    Source: Behrmann et al. 2019 (i-ResNet), arXiv:1811.00995, algorithm 1.

    Args:
        g: with a Lipschitz constant below 1.
        target: one vector.
    """

    def solve(residual: Callable[[Vector], Vector], start: Vector) -> Vector:
        epsilon = 2.0 * float(jnp.finfo(start.dtype).eps)

        def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
            y, index, _ = state
            new = y - residual(y)
            size = jnp.maximum(jnp.max(jnp.abs(new)), 1.0)
            return new, index + 1, jnp.max(jnp.abs(new - y)) <= epsilon * size

        state = (start, jnp.zeros((), jnp.int32), jnp.zeros((), bool))
        return jax.lax.while_loop(lambda state: ~state[2] & (state[1] < _MAX_STEPS), step, state)[0]

    def tangent_solve(linear: Callable[[Vector], Vector], tangent: Vector) -> Vector:
        return jnp.linalg.solve(jax.jacfwd(linear)(tangent), tangent)

    start = jax.lax.stop_gradient(target)
    return jax.lax.custom_root(lambda y: y + g(y) - target, start, solve, tangent_solve)
