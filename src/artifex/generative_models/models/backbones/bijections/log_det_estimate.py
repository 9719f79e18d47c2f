"""An unbiased estimate of log |det(I + J)|, J the Jacobian of a contraction g.

    log det(I + J)    = sum_{k >= 1} (-1)^{k+1} / k tr(J^k)
    d log det(I + J)  = tr((I + J)^{-1} dJ) = sum_{k >= 0} (-1)^k tr(J^k dJ)

Traces are estimated by v^T J^k v with entries of v that are 1 or -1; the series end after a random number N of terms,
and term k is divided by P(N >= k). So neither has a bias, and nothing is stored from term to term for the gradient.

Source: Chen et al. 2019 (residual flows), arXiv:1906.02735, equations 6 and 8. Deviation: signs for normal numbers,
whose variance is larger.
"""

import math
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.configuration import RussianRouletteConfig

CallableT = TypeVar("CallableT", bound=Callable[[Array], Array])


def estimated_log_det(
    g: Callable[[Array], Array],
    y: Float[Array, " size"],
    config: RussianRouletteConfig,
    *,
    key: Key[Array, ""],
) -> Float[Array, ""]:
    """One estimate of log |det(I + dg/dy)|; its derivative is an estimate of the derivative, unbiased too.

    Args:
        g: a callable PyTree with a Lipschitz constant below 1. It and `y` can be differentiated once, in reverse.
        y: one vector.
        config: how many terms there are.
        key: randomness of the direction v and of the number of terms.
    """
    probe_key, length_key = jax.random.split(key)
    probe = jax.random.rademacher(probe_key, y.shape, y.dtype)
    num_terms = config.num_exact_terms + _num_further_terms(config.stop_probability, length_key)
    # No derivative passes the loop: that of the estimate comes from the second series alone.
    _, pull_back = jax.vjp(_stopped(g), jax.lax.stop_gradient(y))

    def step(state: tuple[Array, ...]) -> tuple[Array, ...]:
        before, row, weight, value, neumann = state
        k, row = before + 1, pull_back(row)[0]
        weight = jnp.where(k > config.num_exact_terms, weight / (1.0 - config.stop_probability), weight)
        signed = jnp.where(k % 2 == 1, weight, -weight)
        return k, row, weight, value + signed / k.astype(y.dtype) * (row @ probe), neumann - signed * row

    zero = jnp.zeros((), y.dtype)
    start = (jnp.zeros((), jnp.int32), probe, zero + 1.0, zero, probe)
    _, _, _, value, neumann = jax.lax.while_loop(lambda state: state[0] < num_terms, step, start)
    surrogate = neumann @ jax.jvp(g, (y,), (probe,))[1]
    return value + surrogate - jax.lax.stop_gradient(surrogate)


def _num_further_terms(stop_probability: float, key: Key[Array, ""]) -> Int[Array, ""]:
    """J or more with probability (1 - stop_probability)^j."""
    uniform = jax.random.uniform(key, minval=1e-30)
    return jnp.floor(jnp.log(uniform) / math.log1p(-stop_probability)).astype(jnp.int32)


def _stopped(module: CallableT) -> CallableT:
    return jax.tree.map(
        lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_inexact_array(leaf) else leaf, module
    )
