"""Closed forms of KL(p || q) for von Mises and von Mises-Fisher distributions.

With A = E_p[m_p . x], and unit vectors, E_p[1 - m_q . x] = 1 - A m_p . m_q = (1 - A) + A |m_p - m_q|^2 / 2, of which
no term cancels.
"""

import distrax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.bessel import log_scaled_bessel, one_minus_mean_resultant
from artifex.generative_models.core.distributions.divergences import (
    check_same_events,
    kl_divergence,
    no_closed_form,
)
from artifex.generative_models.core.distributions.von_mises_fisher import VonMises, VonMisesFisher


@kl_divergence.register
def _(p: VonMises, q: distrax.Distribution) -> Float[Array, "..."]:
    if not isinstance(q, VonMises):
        raise no_closed_form(p, q)
    half_squared = 2 * jnp.square(jnp.sin((p.loc - q.loc) / 2))
    return _divergence(0.0, p.concentration, q.concentration, half_squared)


@kl_divergence.register
def _(p: VonMisesFisher, q: distrax.Distribution) -> Float[Array, "..."]:
    if not isinstance(q, VonMisesFisher):
        raise no_closed_form(p, q)
    check_same_events(p, q)
    half_squared = 0.5 * jnp.sum(jnp.square(p.direction - q.direction), axis=-1)
    return _divergence(p.order, p.concentration, q.concentration, half_squared)


def _divergence(order: float, p: Array, q: Array, half_squared: Array) -> Array:
    spread = one_minus_mean_resultant(order, p)
    norms = log_scaled_bessel(order, q) - log_scaled_bessel(order, p)
    return norms + (q - p) * spread + q * (1 - spread) * half_squared
