"""Kullback-Leibler divergences of distributions: in closed form, or by sampling."""

from functools import singledispatch

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.distributions.multivariate_normal import (
    AbstractMultivariateNormal,
    as_multivariate,
)
from artifex.generative_models.core.distributions.support import name_of


@singledispatch
def kl_divergence(p: distrax.Distribution, q: distrax.Distribution) -> Float[Array, "..."]:
    """KL(p || q) in nats, in closed form.

    Args:
        p: the distribution that the expectation is over.
        q: the other one, of the same event shape.

    Returns:
        A scalar for distributions of one event; otherwise one value for each entry of the batch shape.

    Raises:
        TypeError: no closed form is known for this pair.
        ValueError: the event shapes differ.
    """
    check_same_events(p, q)
    try:
        return jnp.asarray(p.kl_divergence(q))
    except NotImplementedError:
        raise no_closed_form(p, q) from None


@kl_divergence.register
def _(p: distrax.Independent, q: distrax.Distribution) -> Float[Array, "..."]:
    check_same_events(p, q)
    as_vectors = as_multivariate(p)
    if as_vectors is not None and isinstance(q, AbstractMultivariateNormal):
        return kl_divergence(as_vectors, q)
    if not isinstance(q, distrax.Independent) or p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise no_closed_form(p, q)
    entries = kl_divergence(p.distribution, q.distribution)
    return jnp.sum(entries, axis=tuple(range(-p.reinterpreted_batch_ndims, 0)))


def monte_carlo_kl(
    p: distrax.Distribution, q: distrax.Distribution, *, key: Key[Array, ""], num_samples: int
) -> Float[Array, ""]:
    """Unbiased estimate of KL(p || q) in nats: the mean of `log p(x) - log q(x)` over samples of p.

    Args:
        p: distribution of one event, which can be sampled.
        q: distribution over the same events.
        key: randomness of the samples.
        num_samples: how many; the standard error falls with the square root.
    """
    if num_samples < 1:
        raise ValueError(f"`num_samples` must be at least 1; got {num_samples}")
    check_same_events(p, q)
    samples = p.sample(seed=key, sample_shape=(num_samples,))
    return jnp.mean(jax.vmap(lambda x: jnp.subtract(p.log_prob(x), q.log_prob(x)))(samples))


def monte_carlo_entropy(
    p: distrax.Distribution, *, key: Key[Array, ""], num_samples: int
) -> Float[Array, ""]:
    """Unbiased estimate of the entropy of p in nats: the mean of `-log p(x)` over its samples.

    For distributions without a closed form, as mixtures and transformed ones are.

    Args:
        p: distribution of one event.
        key: randomness of the samples.
        num_samples: how many; the standard error falls with the square root.
    """
    if num_samples < 1:
        raise ValueError(f"`num_samples` must be at least 1; got {num_samples}")
    _, log_probs = p.sample_and_log_prob(seed=key, sample_shape=(num_samples,))
    return jnp.negative(jnp.mean(log_probs))


def check_same_events(p: distrax.Distribution, q: distrax.Distribution) -> None:
    """Raise if the event shapes of two distributions differ."""
    if p.event_shape != q.event_shape:
        raise ValueError(
            f"both distributions must have one event shape; got {p.event_shape} and {q.event_shape}"
        )


def no_closed_form(p: distrax.Distribution, q: distrax.Distribution) -> TypeError:
    """The error for a pair without a closed form."""
    return TypeError(
        f"no closed form of KL(p || q) is known for {name_of(p)} and {name_of(q)}; estimate it with monte_carlo_kl"
    )
