"""The VAE with one vector of latents: encoder, posterior, prior, decoder and likelihood, trained by an objective."""

from collections.abc import Callable, Sequence

import distrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import VAEConfig
from artifex.generative_models.core.distributions import AbstractLikelihood, make_likelihood
from artifex.generative_models.core.models import (
    conditions_for,
    map_examples,
)
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.models.backbones import condition_vector, make_decoder, make_encoder
from artifex.generative_models.models.vae.base import AbstractVAE
from artifex.generative_models.models.vae.bounds import ElboTerms, LogWeights, elbo_terms, log_weights
from artifex.generative_models.models.vae.objectives import AbstractObjective, make_objective
from artifex.generative_models.models.vae.posteriors import AbstractPosterior, NormalPosterior, make_posterior
from artifex.generative_models.models.vae.priors import AbstractPrior, make_prior


@register_model(VAEConfig)
class VAE(AbstractVAE):
    """Variational autoencoder: z ~ p(z), x ~ p(x|z), with a diagonal Gaussian q(z|x), or a flow of one.

    Source: Kingma & Welling 2014, arXiv:1312.6114.

    >>> from artifex.generative_models.factory import create_model
    >>> model = create_model(VAEConfig(latent_size=2), key=jax.random.key(0))
    >>> model.generate(4, key=jax.random.key(1)).shape
    (4, 1, 8, 8)
    """

    config: VAEConfig = eqx.field(static=True)
    encoder: Callable[..., Array]
    decoder: Callable[..., Array]
    likelihood: AbstractLikelihood
    posterior: AbstractPosterior
    prior: AbstractPrior
    objective: AbstractObjective

    def __init__(self, config: VAEConfig, *, key: Key[Array, ""]):
        """Random parameters.

        Args:
            config: sizes and kinds of all parts.
            key: randomness of the parameters.
        """
        encoder_key, decoder_key, prior_key, posterior_key = jax.random.split(key, 4)
        self.config = config
        self.likelihood = make_likelihood(config.likelihood, config.event_shape)
        self.posterior = make_posterior(config.posterior, config.latent_size, key=posterior_key)
        self.encoder = make_encoder(
            config.encoder,
            config.event_shape,
            condition_size=config.condition_size,
            out_size=self.posterior.output_size,
            key=encoder_key,
        )
        self.decoder = make_decoder(
            config.decoder,
            config.latent_size,
            condition_size=config.condition_size,
            out_shape=self.likelihood.output_shape,
            key=decoder_key,
        )
        self.prior = make_prior(config.prior, config, key=prior_key)
        self.objective = make_objective(config.objective, config.kl_weight)

    # One example

    def _encoder_output_one(self, x: Array, condition: Array | None) -> Float[Array, " size"]:
        return self.encoder(x, condition_vector(self.config, condition))

    def _posterior_one(self, x: Array, condition: Array | None) -> distrax.Distribution:
        return self.posterior.distribution(self._encoder_output_one(x, condition))

    def _prior_one(self, condition: Array | None) -> distrax.Distribution:
        return self.prior.distribution(lambda x: self._posterior_one(x, condition))

    def _likelihood_one(self, z: Float[Array, " latent"], condition: Array | None) -> distrax.Distribution:
        return self.likelihood(self.decoder(z, condition_vector(self.config, condition)))

    def _prior_sample_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Float[Array, " latent"]:
        return self._prior_one(condition).sample(seed=key)

    def _elbo_terms_one(self, x: Array, condition: Array | None, *, key: Key[Array, ""]) -> ElboTerms:
        return elbo_terms(self, x, condition, key=key)

    def _log_weights_one(
        self, x: Array, condition: Array | None, *, keys: Key[Array, " samples"]
    ) -> LogWeights:
        return log_weights(self, x, condition, keys=keys)

    def _encode_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, " latent"]:
        output = self._encoder_output_one(x, condition)
        if key is None:
            return self.posterior.centre(output)
        return self.posterior.distribution(output).sample(seed=key)

    def _interpolate_one(
        self, start: Array, end: Array, weight: Float[Array, ""], condition: Array | None
    ) -> Array:
        start_z = self._encode_one(start, condition, key=None)
        end_z = self._encode_one(end, condition, key=None)
        return self._decode_one(start_z + weight * (end_z - start_z), condition)

    # Batches

    def posterior_parameters(
        self, x: Arrays, condition: Arrays | None = None
    ) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        """Means and standard deviations of q(z|x), each of shape `(batch, latent_size)`.

        Raises:
            TypeError: the posterior is a flow, which has neither in closed form.
        """
        if not isinstance(self.posterior, NormalPosterior):
            raise TypeError(
                f"means and standard deviations are known for a `NormalPosterior` alone; got "
                f"{type(self.posterior).__name__}. Samples are what `encode` gives with a key."
            )
        return map_examples(_posterior_parameters_one, self, x, condition, None)

    def latent_traversal(
        self,
        z: Float[Array | np.ndarray, "batch latent"],
        dimensions: Sequence[int],
        values: Sequence[float] | Float[Array | np.ndarray, " steps"],
        condition: Arrays | None = None,
    ) -> Float[Array, "batch dimensions steps ..."]:
        """Decoded means while one latent at a time takes given values and the others stay.

        Args:
            z: where to start, for instance `model.encode(x)`.
            dimensions: which latents, numbers in [0, latent_size).
            values: what each of them is set to; the prior's scale is 1.
            condition: batch of conditions, for a conditional model.

        Returns:
            Shape `(batch, len(dimensions), len(values), *event_shape)`.
        """
        size = self.config.latent_size
        if not dimensions or any(not 0 <= dimension < size for dimension in dimensions):
            raise ValueError(f"`dimensions` must be one or more of 0 to {size - 1}; got {list(dimensions)}")
        z = jnp.asarray(z)
        if z.ndim != 2 or z.shape[1] != size:
            raise ValueError(f"`z` must have shape (batch, {size}); got {z.shape}")
        condition = conditions_for(self.config, condition, z.shape[0])
        return _traverse(self, z, jnp.asarray(dimensions), jnp.asarray(values, z.dtype), condition)


def _posterior_parameters_one(
    model: VAE, x: Array, condition: Array | None, *, key: None
) -> tuple[Array, Array]:
    posterior = model._posterior_one(x, condition)
    return posterior.mean(), posterior.stddev()


@eqx.filter_jit
def _traverse(model, z, dimensions, values, condition):
    def one(z, condition):
        def at(dimension, value):
            return model._decode_one(z.at[dimension].set(value), condition)

        return jax.vmap(lambda dimension: jax.vmap(lambda value: at(dimension, value))(values))(dimensions)

    return jax.vmap(one)(z, condition)
