"""The VAE with one vector of Gaussian latents: encoder, prior, decoder and likelihood, trained by an objective."""

from collections.abc import Sequence
from typing import Any, ClassVar

import distrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import VAEConfig
from artifex.generative_models.core.distributions import (
    AbstractLikelihood,
    make_likelihood,
    normal_from_output,
)
from artifex.generative_models.core.models import (
    AbstractDensityModel,
    AbstractLatentModel,
    conditions_for,
    map_examples,
)
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import check_key, example_keys
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.models.backbones import condition_vector, make_decoder, make_encoder
from artifex.generative_models.models.vae.bounds import elbo_one, importance_weighted_bound_one
from artifex.generative_models.models.vae.objectives import AbstractObjective, make_objective
from artifex.generative_models.models.vae.priors import AbstractPrior, make_prior

_CHUNK_SIZE = 32


@register_model(VAEConfig)
class VAE(AbstractDensityModel, AbstractLatentModel):
    """Variational autoencoder: z ~ p(z), x ~ p(x|z), with a diagonal Gaussian q(z|x) for the posterior.

    `generate` draws from the model exactly, noise of the likelihood included; `generate_mean` leaves it out, which
    is what most pictures of VAE samples show. `log_prob` is the importance-weighted bound with
    `config.log_prob_samples` samples.

    Source: Kingma & Welling 2014, arXiv:1312.6114.

    >>> from artifex.generative_models.factory import create_model
    >>> model = create_model(VAEConfig(latent_size=2), key=jax.random.key(0))
    >>> model.generate(4, key=jax.random.key(1)).shape
    (4, 1, 8, 8)
    """

    log_prob_kind: ClassVar[str] = "lower bound"

    config: VAEConfig = eqx.field(static=True)
    encoder: eqx.Module
    decoder: eqx.Module
    likelihood: AbstractLikelihood
    prior: AbstractPrior
    objective: AbstractObjective

    def __init__(self, config: VAEConfig, *, key: Key[Array, ""]):
        """Random parameters.

        Args:
            config: sizes and kinds of all parts.
            key: randomness of the parameters.
        """
        encoder_key, decoder_key, prior_key = jax.random.split(key, 3)
        self.config = config
        self.likelihood = make_likelihood(config.likelihood, config.event_shape)
        self.encoder = make_encoder(
            config.encoder,
            config.event_shape,
            condition_size=config.condition_size,
            out_size=2 * config.latent_size,
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
        self.objective = make_objective(config.objective, config)

    # One example

    def _posterior_one(self, x: Array, condition: Array | None) -> distrax.Distribution:
        vector = condition_vector(self.config, condition)
        return normal_from_output(self.encoder(x, vector))

    def _prior_one(self, condition: Array | None) -> distrax.Distribution:
        return self.prior.distribution(lambda x: self._posterior_one(x, condition))

    def _likelihood_one(self, z: Float[Array, " latent"], condition: Array | None) -> distrax.Distribution:
        return self.likelihood(self.decoder(z, condition_vector(self.config, condition)))

    def _loss_batch(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        return self.objective.loss_batch(self, x, condition, key=key, step=step)

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        likelihood, noise_key = self._generated_likelihood_one(condition, key=key)
        return likelihood.sample(seed=noise_key)

    def _generate_mean_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        likelihood, _ = self._generated_likelihood_one(condition, key=key)
        return likelihood.mean()

    def _generated_likelihood_one(
        self, condition: Array | None, *, key: Key[Array, ""]
    ) -> tuple[distrax.Distribution, Key[Array, ""]]:
        latent_key, noise_key = jax.random.split(key)
        z = self._prior_one(condition).sample(seed=latent_key)
        return self._likelihood_one(z, condition), noise_key

    def _log_prob_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, ""]:
        assert key is not None  # `log_prob` demands it, as this is a bound
        num_samples = self.config.log_prob_samples
        return importance_weighted_bound_one(
            self, x, condition, key=key, num_samples=num_samples, chunk_size=_CHUNK_SIZE
        )

    def _encode_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, " latent"]:
        posterior = self._posterior_one(x, condition)
        return posterior.mean() if key is None else posterior.sample(seed=key)

    def _decode_one(self, z: Float[Array, " latent"], condition: Array | None) -> Array:
        return self._likelihood_one(z, condition).mean()

    def _interpolate_one(
        self, start: Array, end: Array, weight: Float[Array, ""], condition: Array | None
    ) -> Array:
        start_z = self._encode_one(start, condition, key=None)
        end_z = self._encode_one(end, condition, key=None)
        return self._decode_one(start_z + weight * (end_z - start_z), condition)

    # Batches

    def elbo(
        self, x: Array | np.ndarray, condition: Any = None, *, key: Key[Array, ""]
    ) -> Float[Array, " batch"]:
        """One-sample estimates of the evidence lower bound on log p(x), in nats.

        Args:
            x: batch of examples, shape `(batch, *event_shape)`.
            condition: batch of conditions, for a conditional model.
            key: randomness of the posterior samples.
        """
        return map_examples(elbo_one, self, x, condition, key)

    def importance_weighted_bound(
        self,
        x: Array | np.ndarray,
        condition: Any = None,
        *,
        key: Key[Array, ""],
        num_samples: int,
        chunk_size: int = _CHUNK_SIZE,
    ) -> Float[Array, " batch"]:
        """The bound E[log 1/k sum_i p(x, z_i) / q(z_i|x)] on log p(x), one estimate for each example, in nats.

        It rises with `num_samples`; 5,000 is the usual number for a test score. Each pair of `num_samples` and
        `chunk_size` compiles once.

        Args:
            x: batch of examples, shape `(batch, *event_shape)`.
            condition: batch of conditions, for a conditional model.
            key: randomness of the posterior samples.
            num_samples: k, samples for each example.
            chunk_size: so many samples of each example are in memory at once.
        """
        if num_samples < 1 or chunk_size < 1:
            raise ValueError(
                f"`num_samples` and `chunk_size` must be at least 1; got {num_samples} and {chunk_size}"
            )
        return map_examples(
            importance_weighted_bound_one,
            self,
            x,
            condition,
            key,
            num_samples=num_samples,
            chunk_size=chunk_size,
        )

    def posterior_parameters(
        self, x: Array | np.ndarray, condition: Any = None
    ) -> tuple[Float[Array, "batch latent"], Float[Array, "batch latent"]]:
        """Means and standard deviations of q(z|x), each of shape `(batch, latent_size)`."""
        return map_examples(_posterior_parameters_one, self, x, condition, None)

    def generate_mean(
        self, n_samples: int, *, key: Key[Array, ""], condition: Any = None
    ) -> Float[Array, "n_samples ..."]:
        """Means of p(x|z) at the latents of `generate` with the same key: new examples without their noise.

        Args:
            n_samples: how many.
            key: sample `i` is made with `fold_in(key, i)`.
            condition: one for each sample, or a single one for all; None for an unconditional model.
        """
        check_key(key)
        if n_samples < 1:
            raise ValueError(f"`n_samples` must be at least 1; got {n_samples}")
        condition = conditions_for(self.config, condition, n_samples)
        return _generate_mean(self, example_keys(key, n_samples), condition)

    def latent_traversal(
        self,
        z: Float[Array | np.ndarray, "batch latent"],
        dimensions: Sequence[int],
        values: Sequence[float] | Float[Array | np.ndarray, " steps"],
        condition: Any = None,
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
def _generate_mean(model, keys, condition):
    return jax.vmap(lambda key, condition: model._generate_mean_one(condition, key=key))(keys, condition)


@eqx.filter_jit
def _traverse(model, z, dimensions, values, condition):
    def one(z, condition):
        def at(dimension, value):
            return model._decode_one(z.at[dimension].set(value), condition)

        return jax.vmap(lambda dimension: jax.vmap(lambda value: at(dimension, value))(values))(dimensions)

    return jax.vmap(one)(z, condition)
