"""Closed forms of KL(p || q) for pairs of multivariate normals, the diagonal ones of `normal` among them."""

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.divergences import (
    check_same_events,
    kl_divergence,
    no_closed_form,
)
from artifex.generative_models.core.distributions.multivariate_normal import (
    AbstractMultivariateNormal,
    as_multivariate,
)


@kl_divergence.register
def _(p: AbstractMultivariateNormal, q: distrax.Distribution) -> Float[Array, "..."]:
    """`(tr(Q^-1 P) + |m|_Q^2 - dim + log det Q - log det P) / 2`, the trace by the columns of the root of P."""
    other = as_multivariate(q)
    if other is None:
        raise no_closed_form(p, q)
    check_same_events(p, other)
    columns = jnp.moveaxis(p.root(), -1, 0)
    trace = jnp.sum(jax.vmap(other.squared_distance)(columns), axis=0)
    distance = other.squared_distance(p.loc - other.loc)
    log_ratio = other.half_log_det() - p.half_log_det()
    return 0.5 * (trace + distance - p.loc.shape[-1]) + log_ratio
