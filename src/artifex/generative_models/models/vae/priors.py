"""Priors over one vector of latents. Each is built into a distribution where it is used."""

import abc
import functools
import math
from collections.abc import Callable

import distrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import (
    FlowPriorConfig,
    GaussianMixturePriorConfig,
    PriorConfig,
    StandardNormalPriorConfig,
    VAEConfig,
    VampPriorConfig,
)
from artifex.generative_models.core.distributions import Transformed, mixture, normal
from artifex.generative_models.models.backbones.bijections import AbstractBijection
from artifex.generative_models.models.backbones.weights import normal_weights
from artifex.generative_models.models.vae.posteriors import latent_bijection


class AbstractPrior(eqx.Module):
    """p(z)."""

    @abc.abstractmethod
    def distribution(self, posterior: Callable[[Array], distrax.Distribution]) -> distrax.Distribution:
        """The prior of one example.

        Args:
            posterior: q(z|x) as a function of one example x, under the condition of the example at hand.
        """


class StandardNormalPrior(AbstractPrior):
    """Independent latents with mean 0 and scale 1."""

    latent_size: int = eqx.field(static=True)

    def distribution(self, posterior: Callable[[Array], distrax.Distribution]) -> distrax.Distribution:
        """N(0, 1)."""
        return normal(jnp.zeros(self.latent_size), 1.0)


class GaussianMixturePrior(AbstractPrior):
    """A mixture of diagonal Gaussians with learned parameters."""

    logits: Float[Array, " components"]
    loc: Float[Array, "components latent"]
    raw_scale: Float[Array, "components latent"]

    def __init__(self, config: GaussianMixturePriorConfig, latent_size: int, *, key: Key[Array, ""]):
        shape = (config.num_components, latent_size)
        self.logits = jnp.zeros(config.num_components)
        self.loc = normal_weights(shape, config.initial_spread, key=key)
        self.raw_scale = jnp.full(shape, math.log(math.expm1(1.0)))  # softplus makes it 1

    def distribution(self, posterior: Callable[[Array], distrax.Distribution]) -> distrax.Distribution:
        """sum_k softmax(logits)_k N(loc_k, softplus(raw_scale_k))."""
        logits, loc, raw_scale = map(_at_least_float32, (self.logits, self.loc, self.raw_scale))
        return mixture(logits, normal(loc, jax.nn.softplus(raw_scale) + 1e-6, batch_ndims=1))


class VampPrior(AbstractPrior):
    """The mean of the posteriors of learned pseudo-inputs u_k: p(z) = 1/K sum_k q(z|u_k).

    In a conditional model they are encoded under the condition of the example at hand, so the prior is conditional.

    Source: Tomczak & Welling 2018, arXiv:1705.07120, equation 9. Deviation: pseudo-inputs are free parameters, not
    kept within the range of the data by a hard tanh, which stops the gradient of those that leave it.
    """

    pseudo_inputs: Float[Array, "components ..."]

    def __init__(self, config: VampPriorConfig, event_shape: tuple[int, ...], *, key: Key[Array, ""]):
        shape = (config.num_components, *event_shape)
        self.pseudo_inputs = config.initial_mean + normal_weights(shape, config.initial_scale, key=key)

    def distribution(self, posterior: Callable[[Array], distrax.Distribution]) -> distrax.Distribution:
        """1/K sum_k q(z|u_k)."""
        parts = jax.vmap(posterior)(_at_least_float32(self.pseudo_inputs))
        return mixture(jnp.zeros(self.pseudo_inputs.shape[0]), parts)


class FlowPrior(AbstractPrior):
    """What a bijection makes of standard normal latents; the same whatever the condition."""

    bijection: AbstractBijection

    def distribution(self, posterior: Callable[[Array], distrax.Distribution]) -> distrax.Distribution:
        """That of f(u) with u ~ N(0, 1)."""
        return Transformed(normal(jnp.zeros(self.bijection.event_shape), 1.0), self.bijection)


def _at_least_float32(values: Array) -> Array:
    """Densities are computed in float32, also where the policy keeps parameters in a shorter type."""
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


@functools.singledispatch
def make_prior(config: PriorConfig, model_config: VAEConfig, *, key: Key[Array, ""]) -> AbstractPrior:
    """The prior that a config describes.

    Args:
        config: which one. Register another kind with `make_prior.register`.
        model_config: of the model that it becomes part of.
        key: randomness of its parameters.
    """
    raise LookupError(f"no prior is registered for {type(config).__name__}; use @make_prior.register")


@make_prior.register
def _(config: StandardNormalPriorConfig, model_config: VAEConfig, *, key: Key[Array, ""]) -> AbstractPrior:
    return StandardNormalPrior(model_config.latent_size)


@make_prior.register
def _(config: GaussianMixturePriorConfig, model_config: VAEConfig, *, key: Key[Array, ""]) -> AbstractPrior:
    return GaussianMixturePrior(config, model_config.latent_size, key=key)


@make_prior.register
def _(config: VampPriorConfig, model_config: VAEConfig, *, key: Key[Array, ""]) -> AbstractPrior:
    return VampPrior(config, model_config.event_shape, key=key)


@make_prior.register
def _(config: FlowPriorConfig, model_config: VAEConfig, *, key: Key[Array, ""]) -> AbstractPrior:
    return FlowPrior(latent_bijection(config.bijection, model_config.latent_size, key=key))
