"""The VAE with a grid of Gaussian latents, in which other models work."""

import distrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import AutoencoderKLConfig, ElboConfig
from artifex.generative_models.core.distributions import AbstractLikelihood, make_likelihood, normal
from artifex.generative_models.core.models import map_examples
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.models.backbones.autoencoder import AutoencoderDecoder, AutoencoderEncoder
from artifex.generative_models.models.vae.base import AbstractVAE
from artifex.generative_models.models.vae.bounds import ElboTerms, LogWeights, elbo_terms, log_weights
from artifex.generative_models.models.vae.objectives import AbstractObjective, make_objective

_LOG_VARIANCES = (-30.0, 20.0)


@register_model(AutoencoderKLConfig)
class AutoencoderKL(AbstractVAE):
    """Convolutional autoencoder: z ~ N(0, 1) on a grid, x ~ p(x|z), with a diagonal Gaussian q(z|x).

    Trained with a small weight on the KL it reconstructs well, and its prior is not the distribution of its latents:
    new examples decoded from the prior, as `generate` makes them, look accordingly. Bounds and `log_prob` are those
    of the model with this prior, in nats.

    Source: Rombach et al. 2022, arXiv:2112.10752, section 3.1 and appendix G. Deviations: no perceptual and no
    adversarial loss; the scale of the likelihood takes the place of its learned log-variance.

    >>> from artifex.generative_models.factory import create_model
    >>> model = create_model(AutoencoderKLConfig(event_shape=(1, 8, 8)), key=jax.random.key(0))
    >>> model.encode(jnp.zeros((2, 1, 8, 8))).shape
    (2, 4, 4, 4)
    """

    config: AutoencoderKLConfig = eqx.field(static=True)
    encoder: AutoencoderEncoder
    decoder: AutoencoderDecoder
    likelihood: AbstractLikelihood
    objective: AbstractObjective

    def __init__(self, config: AutoencoderKLConfig, *, key: Key[Array, ""]):
        """Random parameters.

        Args:
            config: sizes and kinds of all parts.
            key: randomness of the parameters.
        """
        encoder_key, decoder_key = jax.random.split(key)
        self.config = config
        self.likelihood = make_likelihood(config.likelihood, config.event_shape)
        self.encoder = AutoencoderEncoder(config, key=encoder_key)
        self.decoder = AutoencoderDecoder(
            config, out_channels=self.likelihood.output_shape[0], key=decoder_key
        )
        self.objective = make_objective(ElboConfig(), config.kl_weight)

    @classmethod
    def from_networks(
        cls,
        config: AutoencoderKLConfig,
        encoder: AutoencoderEncoder,
        decoder: AutoencoderDecoder,
        *,
        key: Key[Array, ""],
    ) -> "AutoencoderKL":
        """A model of networks that are there already, such as those of `load_diffusers_autoencoder`.

        Args:
            config: of the model.
            encoder: image to means and log-variances of the latents.
            decoder: latents to the parameters of the likelihood.
            key: randomness of parameters beside the networks, if the likelihood had any.
        """
        return eqx.tree_at(
            lambda model: (model.encoder, model.decoder), cls(config, key=key), (encoder, decoder)
        )

    # One example

    def _moments_one(self, x: Array) -> tuple[Float[Array, "channels h w"], Float[Array, "channels h w"]]:
        mean, log_variance = jnp.split(self.encoder(x), 2)
        return mean, jnp.exp(0.5 * jnp.clip(log_variance, *_LOG_VARIANCES))

    def _posterior_one(self, x: Array, condition: Array | None) -> distrax.Distribution:
        return normal(*self._moments_one(x))

    def _prior_one(self, condition: Array | None) -> distrax.Distribution:
        return normal(jnp.zeros(self.config.latent_shape), 1.0)

    def _likelihood_one(
        self, z: Float[Array, "channels h w"], condition: Array | None
    ) -> distrax.Distribution:
        return self.likelihood(self.decoder(z))

    def _prior_sample_one(
        self, condition: Array | None, *, key: Key[Array, ""]
    ) -> Float[Array, "channels h w"]:
        return self._prior_one(condition).sample(seed=key)

    def _elbo_terms_one(self, x: Array, condition: Array | None, *, key: Key[Array, ""]) -> ElboTerms:
        return elbo_terms(self, x, condition, key=key)

    def _log_weights_one(
        self, x: Array, condition: Array | None, *, keys: Key[Array, " samples"]
    ) -> LogWeights:
        return log_weights(self, x, condition, keys=keys)

    def _encode_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, "channels h w"]:
        mean, scale = self._moments_one(x)
        return mean if key is None else mean + scale * jax.random.normal(key, mean.shape, mean.dtype)

    def _interpolate_one(
        self, start: Array, end: Array, weight: Float[Array, ""], condition: Array | None
    ) -> Array:
        start_z, end_z = (self._encode_one(x, condition, key=None) for x in (start, end))
        # Written so that weights 0 and 1 give the two ends exactly.
        return self._decode_one((1 - weight) * start_z + weight * end_z, condition)

    def _encode_grid_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, "channels h w"]:
        return self._encode_one(x, condition, key=key)

    def _decode_grid_one(self, grid: Float[Array, "channels h w"], condition: Array | None) -> Array:
        return self._decode_one(grid, condition)

    # Batches

    def posterior_parameters(
        self, x: Arrays
    ) -> tuple[Float[Array, "batch channels h w"], Float[Array, "batch channels h w"]]:
        """Means and standard deviations of q(z|x), each of shape `(batch, *config.latent_shape)`."""
        return map_examples(_moments_one, self, x, None, None)


def _moments_one(
    model: AutoencoderKL, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
) -> tuple[Array, Array]:
    return model._moments_one(x)
