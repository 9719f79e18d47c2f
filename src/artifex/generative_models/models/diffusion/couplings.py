"""Couplings of data and noise within a training batch.

Flow matching may pair data and noise in any way that leaves the distribution of each as it is. The optimal assignment
of a batch, with the squared Euclidean distance as cost, makes paths straighter and cross less, so that few sampling
steps suffice; for large batches it goes to the optimal transport of the distributions.

A model that is given a condition must find standard normal noise under EVERY condition, as that is what sampling
starts from. An assignment over the whole batch would give each condition its own part of the noise. So noise is
exchanged only between examples with equal conditions: class labels are paired class by class, and continuous
conditions, which are all different, keep their own noise.

With such a coupling x_t, given the data, is no longer Gaussian. The velocity, the probability-flow ODE and the
likelihood by it stay right; -noise / sigma no longer is the score, so samplers that add noise on the way do not.

Sources: Pooladian et al. 2023, arXiv:2304.14772, section 3.2; Tong et al. 2023, arXiv:2302.00482, section 3.2.2 and,
for the entropic plan, 3.2.3; Cuturi 2013, arXiv:1306.0895. The papers do not treat conditions.
"""

from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key
from optax.assignment import hungarian_algorithm

from artifex.generative_models.core.configuration import (
    CouplingConfig,
    IndependentCouplingConfig,
    OptimalTransportCouplingConfig,
    SinkhornCouplingConfig,
)


@singledispatch
def couple_batch(
    config: CouplingConfig,
    data: Float[Array, "batch ..."],
    noise: Float[Array, "batch ..."],
    condition: Any = None,
    *,
    key: Key[Array, ""],
) -> Float[Array, "batch ..."]:
    """The noise in the order in which it goes with the data.

    Args:
        config: the kind of coupling.
        data: examples.
        noise: as many draws of noise, or of another source, of the same shape.
        condition: arrays or trees of them with the same leading axis; noise goes only to equal ones. None: to all.
        key: randomness of couplings that draw.
    """
    raise LookupError(f"no coupling is registered for {type(config).__name__}; use @couple_batch.register")


@couple_batch.register
def _(
    config: IndependentCouplingConfig, data: Array, noise: Array, condition: Any = None, *, key: Any
) -> Array:
    return noise


@couple_batch.register
def _(
    config: OptimalTransportCouplingConfig, data: Array, noise: Array, condition: Any = None, *, key: Any
) -> Array:
    cost = squared_distances_batch(data, noise)
    return noise[optimal_assignment_batch(cost, equal_conditions_batch(condition))]


@couple_batch.register
def _(config: SinkhornCouplingConfig, data: Array, noise: Array, condition: Any = None, *, key: Any) -> Array:
    cost = squared_distances_batch(data, noise)
    log_plan = sinkhorn_batch(
        cost / (config.regularization * jnp.mean(cost)),
        equal_conditions_batch(condition),
        num_iterations=config.num_iterations,
    )
    return noise[jax.random.categorical(key, log_plan, axis=-1)]


def squared_distances_batch(data: Float[Array, "n ..."], noise: Float[Array, "m ..."]) -> Float[Array, "n m"]:
    """Squared Euclidean distances of all pairs."""
    data, noise = data.reshape(len(data), -1), noise.reshape(len(noise), -1)
    squares = jnp.sum(data**2, axis=1)[:, None] + jnp.sum(noise**2, axis=1)[None, :]
    return jnp.maximum(squares - 2.0 * data @ noise.T, 0.0)


def equal_conditions_batch(condition: Any) -> Bool[Array, "n n"] | None:
    """Which pairs of examples have equal conditions; None: there are no conditions."""
    leaves = jax.tree.leaves(condition)
    if not leaves:
        return None
    equal = jnp.ones((len(leaves[0]), len(leaves[0])), bool)
    for leaf in leaves:
        flat = leaf.reshape(len(leaf), -1)
        equal = equal & jnp.all(flat[:, None, :] == flat[None, :, :], axis=-1)
    return equal


def optimal_assignment_batch(
    cost: Float[Array, "n n"], is_allowed: Bool[Array, "n n"] | None = None
) -> Int[Array, " n"]:
    """The permutation `p` that makes the sum of `cost[i, p[i]]` least, over allowed pairs where that is possible.

    Args:
        cost: costs of the pairs, not negative.
        is_allowed: which pairs may be made; None: all.
    """
    # Costs decide nothing about gradients: the algorithm has none.
    cost = jax.lax.stop_gradient(cost)
    if is_allowed is not None:
        # More than any exchange among allowed pairs could save.
        cost = jnp.where(is_allowed, cost, len(cost) * (1.0 + jnp.max(cost)))
    rows, columns = hungarian_algorithm(cost)
    return jnp.zeros(len(cost), columns.dtype).at[rows].set(columns)


def sinkhorn_batch(
    cost: Float[Array, "n n"], is_allowed: Bool[Array, "n n"] | None = None, *, num_iterations: int
) -> Float[Array, "n n"]:
    """Log of the plan that makes `sum(plan * cost) - entropy(plan)` least, with all row and column sums 1 / n.

    Row sums are exact, column sums as good as the iterations are many.

    Args:
        cost: costs of the pairs, in units of the regularization.
        is_allowed: which pairs may be made, every example with its own among them; None: all.
        num_iterations: how often rows and columns are scaled.
    """
    kernel = -jax.lax.stop_gradient(cost)
    if is_allowed is not None:
        kernel = jnp.where(is_allowed, kernel, -jnp.inf)
    log_share = -jnp.log(jnp.float32(len(cost)))

    def scale(columns: Array, _: None) -> tuple[Array, None]:
        rows = log_share - jax.nn.logsumexp(kernel + columns[None, :], axis=1)
        return log_share - jax.nn.logsumexp(kernel + rows[:, None], axis=0), None

    columns = jax.lax.scan(scale, jnp.zeros(len(cost)), None, length=num_iterations)[0]
    rows = log_share - jax.nn.logsumexp(kernel + columns[None, :], axis=1)
    return kernel + rows[:, None] + columns[None, :]
