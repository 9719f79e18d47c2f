"""Closed forms of KL(p || q) for pairs of one kind, entry by entry, without cancellation in float32."""

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.bernoulli import Bernoulli
from artifex.generative_models.core.distributions.beta import Beta
from artifex.generative_models.core.distributions.categorical import Categorical, OneHot
from artifex.generative_models.core.distributions.counts import Poisson
from artifex.generative_models.core.distributions.dirichlet import Dirichlet
from artifex.generative_models.core.distributions.divergences import (
    check_same_events,
    kl_divergence,
    no_closed_form,
)
from artifex.generative_models.core.distributions.gamma import Gamma
from artifex.generative_models.core.distributions.laplace import Laplace
from artifex.generative_models.core.distributions.normal import Normal
from artifex.generative_models.core.distributions.special import deviance, log_gamma_bregman
from artifex.generative_models.core.distributions.uniform import Uniform

Entries = Float[Array, "..."]


@kl_divergence.register
def _(p: Normal, q: distrax.Distribution) -> Entries:
    if not isinstance(q, Normal):
        raise no_closed_form(p, q)
    log_ratio = jnp.log(p.scale) - jnp.log(q.scale)
    return 0.5 * (jnp.expm1(2 * log_ratio) + jnp.square((p.loc - q.loc) / q.scale)) - log_ratio


@kl_divergence.register
def _(p: Laplace, q: distrax.Distribution) -> Entries:
    if not isinstance(q, Laplace):
        raise no_closed_form(p, q)
    distance = jnp.abs(p.loc - q.loc)
    ratio = p.scale / q.scale
    return distance / q.scale + ratio * jnp.exp(-distance / p.scale) - 1 - jnp.log(ratio)


@kl_divergence.register
def _(p: Uniform, q: distrax.Distribution) -> Entries:
    """Infinite where q does not cover p."""
    if not isinstance(q, Uniform):
        raise no_closed_form(p, q)
    is_covered = (q.low <= p.low) & (p.high <= q.high)
    return jnp.where(is_covered, jnp.log(q.high - q.low) - jnp.log(p.high - p.low), jnp.inf)


@kl_divergence.register
def _(p: Bernoulli, q: distrax.Distribution) -> Entries:
    if not isinstance(q, Bernoulli):
        raise no_closed_form(p, q)
    ones, zeros = (
        jax.nn.log_sigmoid(sign * p.logits) - jax.nn.log_sigmoid(sign * q.logits) for sign in (1, -1)
    )
    return p.mean() * ones + jax.nn.sigmoid(-p.logits) * zeros


@kl_divergence.register
def _(p: Poisson, q: distrax.Distribution) -> Entries:
    if not isinstance(q, Poisson):
        raise no_closed_form(p, q)
    return deviance(p.rate, q.rate)


@kl_divergence.register
def _(p: Gamma, q: distrax.Distribution) -> Entries:
    if not isinstance(q, Gamma):
        raise no_closed_form(p, q)
    excess = (q.rate - p.rate) / p.rate
    log_ratio = jnp.log1p(excess)
    rates = p.concentration * (excess - log_ratio) - (q.concentration - p.concentration) * log_ratio
    return log_gamma_bregman(q.concentration, p.concentration) + rates


@kl_divergence.register
def _(p: Beta, q: distrax.Distribution) -> Entries:
    if not isinstance(q, Beta):
        raise no_closed_form(p, q)
    entries = log_gamma_bregman(q.alpha, p.alpha) + log_gamma_bregman(q.beta, p.beta)
    return entries - log_gamma_bregman(q.alpha + q.beta, p.alpha + p.beta)


@kl_divergence.register
def _(p: Dirichlet, q: distrax.Distribution) -> Entries:
    if not isinstance(q, Dirichlet):
        raise no_closed_form(p, q)
    check_same_events(p, q)
    entries = jnp.sum(log_gamma_bregman(q.concentration, p.concentration), axis=-1)
    return entries - log_gamma_bregman(q.concentration.sum(-1), p.concentration.sum(-1))


@kl_divergence.register
def _(p: Categorical, q: distrax.Distribution) -> Entries:
    if not isinstance(q, Categorical):
        raise no_closed_form(p, q)
    if p.num_categories != q.num_categories:
        raise ValueError(
            f"both distributions must have the same categories; got {p.num_categories} and {q.num_categories}"
        )
    return _over_categories(p.logits, q.logits)


@kl_divergence.register
def _(p: OneHot, q: distrax.Distribution) -> Entries:
    if not isinstance(q, OneHot):
        raise no_closed_form(p, q)
    check_same_events(p, q)
    return _over_categories(p.logits, q.logits)


def _over_categories(p_logits: Array, q_logits: Array) -> Array:
    """What p holds impossible counts 0, also in the gradient."""
    p_log_probs, q_log_probs = (jax.nn.log_softmax(logits, axis=-1) for logits in (p_logits, q_logits))
    is_possible = p_log_probs > -jnp.inf
    p_log_probs, q_log_probs = (
        jnp.where(is_possible, log_probs, 0.0) for log_probs in (p_log_probs, q_log_probs)
    )
    terms = jnp.where(is_possible, jnp.exp(p_log_probs) * (p_log_probs - q_log_probs), 0.0)
    return jnp.sum(terms, axis=-1)
