"""Bounds on log p(x), for one example and any encoder, prior and decoder that give distributions.

With z ~ q(z|x) and log w = log p(x|z) + log p(z) - log q(z|x),

    ELBO = E[log w] = E[log p(x|z)] - KL(q(z|x) || p(z))  <=  E[log 1/k sum_i w_i]  <=  log p(x),

and the middle one, the importance-weighted bound, rises with k to log p(x). All are in nats.
Sources: Kingma & Welling 2014, arXiv:1312.6114; Burda et al. 2016, arXiv:1509.00519, equation 8 and theorem 1.
"""

from typing import Protocol, runtime_checkable

import distrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, PyTree

from artifex.generative_models.core.distributions import Normal, kl_divergence
from artifex.generative_models.core.random import example_keys


@runtime_checkable
class LatentVariableModel(Protocol):
    """The three distributions of a model with one vector of latents, each for one example."""

    def _posterior_one(self, x: Array, condition: Array | None) -> distrax.Distribution: ...

    def _prior_one(self, condition: Array | None) -> distrax.Distribution: ...

    def _likelihood_one(self, z: Array, condition: Array | None) -> distrax.Distribution: ...


class ElboTerms(eqx.Module):
    """What the ELBO of one example is made of, by one posterior sample.

    Attributes:
        z: the sample.
        reconstruction: `-log p(x|z)` in nats.
        kl: KL(q(z|x) || p(z)) in nats: exact where both are Gaussian, else `log q(z|x) - log p(z)`.
        kl_parts: what the KL is made of, by name, where there are several layers of latents.
    """

    z: PyTree[Array]
    reconstruction: Float[Array, ""]
    kl: Float[Array, ""]
    kl_parts: dict[str, Float[Array, ""]] = eqx.field(default_factory=dict)


class LogWeights(eqx.Module):
    """Log importance weights of one example, in two parts.

    Attributes:
        likelihood: `log p(x|z)` for each sample.
        ratio: `log p(z) - log q(z|x)` for each sample.
        ratio_parts: what the ratio is made of, by name, where there are several layers of latents.
    """

    likelihood: Float[Array, " samples"]
    ratio: Float[Array, " samples"]
    ratio_parts: dict[str, Float[Array, " samples"]] = eqx.field(default_factory=dict)

    @property
    def total(self) -> Float[Array, " samples"]:
        """`log w`."""
        return self.likelihood + self.ratio


@runtime_checkable
class BoundedModel(Protocol):
    """A model that gives the parts of the bounds for one example, whatever its latents are."""

    def _elbo_terms_one(self, x: Array, condition: Array | None, *, key: Key[Array, ""]) -> ElboTerms: ...

    def _log_weights_one(
        self, x: Array, condition: Array | None, *, keys: Key[Array, " samples"]
    ) -> LogWeights: ...


@runtime_checkable
class SingleLayerModel(LatentVariableModel, BoundedModel, Protocol):
    """A model with one vector of latents that gives the parts of the bounds as well."""


def elbo_terms(
    model: LatentVariableModel, x: Array, condition: Array | None, *, key: Key[Array, ""]
) -> ElboTerms:
    """The ELBO's parts for one example; `elbo = -reconstruction - kl`."""
    posterior = model._posterior_one(x, condition)
    z, log_prob = posterior.sample_and_log_prob(seed=key)  # for a flow, the density without its inverse
    return ElboTerms(
        z=z,
        reconstruction=jnp.negative(model._likelihood_one(z, condition).log_prob(x)),
        kl=_kl_to_prior(posterior, model._prior_one(condition), z, jnp.asarray(log_prob)),
    )


def _kl_to_prior(
    posterior: distrax.Distribution,
    prior: distrax.Distribution,
    z: Float[Array, "*latent"],
    log_prob: Float[Array, ""],
) -> Float[Array, ""]:
    """KL(posterior || prior) in nats: in closed form where both are Gaussian, else by the sample `z`."""
    if _is_gaussian(posterior) and _is_gaussian(prior):
        return kl_divergence(posterior, prior)
    return jnp.subtract(log_prob, prior.log_prob(z))


def _is_gaussian(distribution: distrax.Distribution) -> bool:
    return isinstance(distribution, distrax.Independent) and isinstance(distribution.distribution, Normal)


def log_ratio(
    p: distrax.Distribution, q: distrax.Distribution, z: Float[Array, "*latent"]
) -> Float[Array, ""]:
    """`log p(z) - log q(z)`, in nats."""
    return jnp.subtract(p.log_prob(z), q.log_prob(z))


def log_weights(
    model: LatentVariableModel, x: Array, condition: Array | None, *, keys: Key[Array, " samples"]
) -> LogWeights:
    """Log weights of one posterior sample for each key; their gradient is that of the bound (IWAE)."""
    posterior = model._posterior_one(x, condition)
    z, log_probs = jax.vmap(lambda key: posterior.sample_and_log_prob(seed=key))(keys)
    return _log_weights_at(model, x, condition, z, log_probs)


def doubly_reparameterized_log_weights(
    model: LatentVariableModel, x: Array, condition: Array | None, *, keys: Key[Array, " samples"]
) -> LogWeights:
    """The same log weights, with another gradient of `logsumexp(log w)` for the encoder.

    Let v_i = w_i / sum_j w_j. The encoder gets sum_i v_i^2 (d log w_i / d z_i) (d z_i / d encoder), with the
    density q itself held fixed; decoder and prior get their usual sum_i v_i d log w_i. Both have the expectation of
    the usual gradient, the first with a variance that falls with the number of samples.

    Source: Tucker et al. 2019, arXiv:1810.04152, IWAE-DReG.
    """
    posterior = model._posterior_one(x, condition)
    z = jax.vmap(lambda key: posterior.sample(seed=key))(keys)
    z, probe = _weigh_gradient_twice(z)
    held = jax.tree.map(jax.lax.stop_gradient, posterior)
    weights = _log_weights_at(model, x, condition, z, jax.vmap(held.log_prob)(z))
    return LogWeights(likelihood=weights.likelihood + probe, ratio=weights.ratio)


def _log_weights_at(model, x, condition, z, log_probs) -> LogWeights:
    """Of latents with the log-densities `log_probs` in the posterior."""
    prior = model._prior_one(condition)
    return LogWeights(
        likelihood=jax.vmap(lambda z: model._likelihood_one(z, condition).log_prob(x))(z),
        ratio=jax.vmap(prior.log_prob)(z) - log_probs,
    )


@jax.custom_vjp
def _weigh_gradient_twice(z: Float[Array, "samples latent"]) -> tuple[Array, Array]:
    """The samples unchanged, and zeros that are added to their log weights.

    A gradient that arrives at zero number i is the normalized weight v_i (times whatever the loss is multiplied
    by), because it is the derivative of a logsumexp. The one that arrives at sample i has the factor v_i already;
    here it gets it a second time. So one backward pass does both weightings.
    """
    return z, jnp.zeros(z.shape[0], z.dtype)


def _weigh_forward(z):
    return _weigh_gradient_twice(z), None


def _weigh_backward(_, gradients):
    of_samples, of_zeros = gradients
    scale = jnp.sum(of_zeros)
    weights = jnp.where(scale == 0, 0.0, of_zeros / jnp.where(scale == 0, 1.0, scale))
    return (of_samples * weights[:, None],)


_weigh_gradient_twice.defvjp(_weigh_forward, _weigh_backward)


def log_mean_exp(values: Float[Array, " samples"]) -> Float[Array, ""]:
    """`log(mean(exp(values)))`, without overflow."""
    return jax.nn.logsumexp(values) - jnp.log(values.shape[0])


def elbo_one(
    model: BoundedModel, x: Array, condition: Array | None, *, key: Key[Array, ""]
) -> Float[Array, ""]:
    """One-sample estimate of the ELBO of one example, in nats."""
    terms = model._elbo_terms_one(x, condition, key=key)
    return -terms.reconstruction - terms.kl


def importance_weighted_bound_one(
    model: BoundedModel,
    x: Array,
    condition: Array | None,
    *,
    key: Key[Array, ""],
    num_samples: int,
    chunk_size: int,
) -> Float[Array, ""]:
    """One estimate of the importance-weighted bound of one example, in nats, by a running logsumexp.

    Args:
        model: gives the log weights.
        x: one example.
        condition: its condition, or None.
        key: sample i uses `fold_in(key, i)`, so the chunks change nothing but the order of a sum.
        num_samples: number of importance samples.
        chunk_size: so many at once are in memory.
    """
    chunk = min(chunk_size, num_samples)
    numbers = jnp.arange(-(-num_samples // chunk) * chunk).reshape(-1, chunk)

    def add(total: Float[Array, ""], numbers: Int[Array, " chunk"]) -> tuple[Array, None]:
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(numbers)
        weights = model._log_weights_one(x, condition, keys=keys).total
        # The last chunk is filled up, so that all are one compiled body; what was filled up does not count.
        weights = jnp.where(numbers < num_samples, weights, -jnp.inf)
        return jnp.logaddexp(total, jax.nn.logsumexp(weights)), None

    total, _ = jax.lax.scan(add, jnp.array(-jnp.inf), numbers)
    return total - jnp.log(num_samples)


def batch_elbo_terms(
    model: BoundedModel, x: Array, condition: Array | None, *, key: Key[Array, ""]
) -> ElboTerms:
    """The ELBO's parts for a batch of examples, each with a key of its own."""
    keys = example_keys(key, x.shape[0])
    return jax.vmap(lambda x, condition, key: model._elbo_terms_one(x, condition, key=key))(
        x, condition, keys
    )
