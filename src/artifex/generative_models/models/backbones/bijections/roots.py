"""Roots of increasing functions of one number, at each place of an array, by the implicit function theorem."""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

Scalar = Float[Array, "*shape"]

_MAX_STEPS = 200  # more than bisection alone would take to end at neighbouring float64 numbers of one sign
_UNIT = 1e-3  # below this size, roots are exact to an absolute error of as many rounding units


def increasing_root(function: Callable[[Scalar], Scalar], low: Scalar, high: Scalar) -> Scalar:
    """The x in [low, high] at which an increasing, differentiable function is zero.

    Newton's method inside of a bracket: where a step would leave it, or is not half of the one before, the middle is
    taken instead. It ends when a step changes nothing more. All derivatives with respect to what `function` closes
    over are right, dx = -df / f'(x); `low` and `high` have none.

    Args:
        function: increasing, with a positive derivative at the root; differentiable by `jax.jvp`.
        low: where the function is not positive.
        high: where it is not negative.
    """
    low, high = jax.lax.stop_gradient((low, high))

    def solve(f: Callable[[Scalar], Scalar], start: Scalar) -> Scalar:
        epsilon = jnp.finfo(start.dtype).eps

        def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
            low, high, x, last, index, was_done = state
            value, slope = jax.jvp(f, (x,), (jnp.ones_like(x),))
            low, high = jnp.where(value <= 0, x, low), jnp.where(value >= 0, x, high)
            newton = x - value / jnp.where(slope > 0, slope, jnp.inf)
            middle = low + 0.5 * (high - low)
            is_newton = (slope > 0) & (newton >= low) & (newton <= high) & (jnp.abs(newton - x) <= 0.5 * last)
            new = jnp.where(is_newton, newton, middle)
            moved = jnp.abs(new - x)
            is_done = (moved <= 0.5 * epsilon * jnp.maximum(jnp.abs(x), _UNIT)) | (high <= low)
            # What has ended stays: a further step could only lead away.
            new, moved = jnp.where(was_done, x, new), jnp.where(was_done, last, moved)
            return low, high, new, moved, index + 1, was_done | is_done

        state = (low, high, start, high - low, jnp.zeros((), jnp.int32), jnp.zeros(start.shape, bool))
        return jax.lax.while_loop(lambda state: ~jnp.all(state[5]) & (state[4] < _MAX_STEPS), step, state)[2]

    def tangent_solve(linear: Callable[[Scalar], Scalar], tangent: Scalar) -> Scalar:
        return tangent / linear(jnp.ones_like(tangent))

    return jax.lax.custom_root(function, low + 0.5 * (high - low), solve, tangent_solve)
