"""The VAE with a grid of discrete codes: encoder, quantizer, decoder, likelihood, and a learned prior over codes.

An encoder with one certain answer, codes c(x), is a posterior with all its mass there, so that its entropy is 0 and

    log p(x) = log sum_c p(c) p(x | c)  >=  log p(x | c(x)) + log p(c(x))    (nats).

Training minimises

    -log p(x | c(x)) + commitment - log p(c(x)),

where the last term's gradient stays in the prior: to it, codes are data.
"""

from typing import ClassVar

import distrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import VQVAEConfig
from artifex.generative_models.core.distributions import AbstractLikelihood, make_likelihood
from artifex.generative_models.core.examples import value_range
from artifex.generative_models.core.models import (
    AbstractDensityModel,
    AbstractLatentModel,
    generate_examples,
    map_examples,
)
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.models.backbones import (
    ConvGridDecoder,
    ConvGridEncoder,
    condition_vector,
    make_grid_decoder,
    make_grid_encoder,
)
from artifex.generative_models.models.vae.code_prior import CodePrior
from artifex.generative_models.models.vae.quantizers import AbstractQuantizer, make_quantizer


@value_range.register
def _(config: VQVAEConfig) -> tuple[float, float] | None:
    return value_range(config.likelihood)


@register_model(VQVAEConfig)
class VQVAE(AbstractDensityModel, AbstractLatentModel):
    """Autoencoder through discrete codes, with one codebook, residual codebooks or finite scalars.

    `encode` gives integer codes of shape `(batch, h, w)`, with an axis of levels before `h` for residual codebooks.
    New examples are decoded from codes of the learned prior. Interpolation goes through the encoder's output, before
    it is quantized. The encoder is deterministic, so `log_prob` and `elbo` are the same number for any key.

    Source: van den Oord et al. 2017, arXiv:1711.00937.

    >>> from artifex.generative_models.factory import create_model
    >>> model = create_model(VQVAEConfig(event_shape=(1, 8, 8)), key=jax.random.key(0))
    >>> model.encode(jnp.zeros((2, 1, 8, 8))).shape
    (2, 4, 4)
    """

    log_prob_kind: ClassVar[str] = "lower bound"

    config: VQVAEConfig = eqx.field(static=True)
    encoder: ConvGridEncoder
    quantizer: AbstractQuantizer
    decoder: ConvGridDecoder
    likelihood: AbstractLikelihood
    prior: CodePrior

    def __init__(self, config: VQVAEConfig, *, key: Key[Array, ""]):
        """Random parameters.

        Args:
            config: sizes and kinds of all parts.
            key: randomness of the parameters.
        """
        encoder_key, quantizer_key, decoder_key, prior_key = jax.random.split(key, 4)
        self.config = config
        self.likelihood = make_likelihood(config.likelihood, config.event_shape)
        self.quantizer = make_quantizer(config.quantizer, key=quantizer_key)
        self.encoder = make_grid_encoder(
            config.encoder,
            config.event_shape,
            condition_size=config.condition_size,
            out_channels=self.quantizer.embedding_size,
            key=encoder_key,
        )
        self.decoder = make_grid_decoder(
            config.decoder,
            self.encoder.grid_shape,
            condition_size=config.condition_size,
            out_shape=self.likelihood.output_shape,
            key=decoder_key,
        )
        grid = jax.ShapeDtypeStruct(self.encoder.grid_shape, jnp.float32)
        self.prior = CodePrior(
            config.prior,
            jax.eval_shape(self.quantizer.encode, grid).shape,
            num_codes=self.quantizer.num_codes,
            condition_size=config.condition_size,
            key=prior_key,
        )

    @property
    def num_codes(self) -> int:
        """Codes lie in [0, num_codes)."""
        return self.quantizer.num_codes

    # One example

    def _embedding_one(self, x: Array, condition: Array | None) -> Float[Array, "channels h w"]:
        return self.encoder(x, condition_vector(self.config, condition))

    def _likelihood_one(
        self, z: Float[Array, "channels h w"], condition: Array | None
    ) -> distrax.Distribution:
        return self.likelihood(self.decoder(z, condition_vector(self.config, condition)))

    def _log_likelihood_one(
        self, x: Array, z: Float[Array, "channels h w"], condition: Array | None
    ) -> Float[Array, ""]:
        return jnp.asarray(self._likelihood_one(z, condition).log_prob(x))

    def _encode_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Int[Array, "*grid"]:
        return self.quantizer.encode(self._embedding_one(x, condition))

    def _decode_one(self, z: Int[Array, "*grid"], condition: Array | None) -> Array:
        return self._likelihood_one(self.quantizer.decode(z), condition).mean()

    def _interpolate_one(
        self, start: Array, end: Array, weight: Float[Array, ""], condition: Array | None
    ) -> Array:
        start_z, end_z = self._embedding_one(start, condition), self._embedding_one(end, condition)
        # Written so that weights 0 and 1 give the two ends exactly.
        codes = self.quantizer.encode((1 - weight) * start_z + weight * end_z)
        return self._decode_one(codes, condition)

    def _encode_grid_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, "channels h w"]:
        return self._embedding_one(x, condition)

    def _decode_grid_one(self, grid: Float[Array, "channels h w"], condition: Array | None) -> Array:
        return self._decode_one(self.quantizer.encode(grid), condition)

    def _generated_likelihood_one(
        self, condition: Array | None, *, key: Key[Array, ""]
    ) -> tuple[distrax.Distribution, Key[Array, ""]]:
        codes_key, noise_key = jax.random.split(key)
        codes = self.prior.sample(condition_vector(self.config, condition), key=codes_key)
        return self._likelihood_one(self.quantizer.decode(codes), condition), noise_key

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        likelihood, noise_key = self._generated_likelihood_one(condition, key=key)
        return likelihood.sample(seed=noise_key)

    def _log_prob_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, ""]:
        codes = self._encode_one(x, condition, key=None)
        log_likelihood = self._log_likelihood_one(x, self.quantizer.decode(codes), condition)
        return log_likelihood + self.prior.log_prob(codes, condition_vector(self.config, condition))

    # Batches

    def _loss_batch(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        z = jax.vmap(self._embedding_one)(x, condition)
        quantized = self.quantizer.quantize_batch(z, key=key)

        def terms(x: Array, condition: Array | None, vectors: Array, codes: Array) -> tuple[Array, Array]:
            reconstruction = -self._log_likelihood_one(x, vectors, condition)
            prior_nll = -self.prior.log_prob(codes, condition_vector(self.config, condition))
            return reconstruction, prior_nll

        parts = jax.vmap(terms)(x, condition, quantized.vectors, quantized.codes)
        reconstruction, prior_nll = (jnp.mean(part) for part in parts)
        commitment = jnp.mean(quantized.commitment)
        total = reconstruction + commitment + prior_nll
        metrics = {
            "loss": total,
            "reconstruction": reconstruction,
            "commitment": commitment,
            "prior_nll": prior_nll,
            "perplexity": quantized.perplexity,
            "elbo": -reconstruction - prior_nll,
        }
        model = eqx.tree_at(lambda model: model.quantizer, self, quantized.quantizer)
        return LossOutput(total=total, metrics=metrics, model=model)

    def elbo(
        self, x: Arrays, condition: Arrays | None = None, *, key: Key[Array, ""] | None = None
    ) -> Float[Array, " batch"]:
        """Lower bound on log p(x) by the codes of x, in nats: `log p(x|codes) + log p(codes)`, exactly.

        Args:
            x: batch of examples, shape `(batch, *event_shape)`.
            condition: batch of conditions, for a conditional model.
            key: not used: nothing is random.
        """
        return map_examples(VQVAE._log_prob_one, self, x, condition, None)

    def generate_codes(
        self,
        n_samples: int,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        chunk_size: int | None = None,
    ) -> Int[Array, "n_samples *grid"]:
        """Codes from the prior: those behind `generate` and `generate_mean` with the same key.

        Args:
            n_samples: how many.
            key: sample `i` is made with `fold_in(key, i)`.
            condition: one for each sample, or a single one for all; None for an unconditional model.
            chunk_size: at most so many samples at once, where all together would not fit in memory.
        """
        return generate_examples(
            _codes_one, self, n_samples, key=key, condition=condition, chunk_size=chunk_size
        )

    def generate_mean(
        self,
        n_samples: int,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        chunk_size: int | None = None,
    ) -> Float[Array, "n_samples channels height width"]:
        """Means of p(x|codes) at the codes of `generate` with the same key: new examples without their noise.

        Args:
            n_samples: how many.
            key: sample `i` is made with `fold_in(key, i)`.
            condition: one for each sample, or a single one for all; None for an unconditional model.
            chunk_size: at most so many samples at once, where all together would not fit in memory.
        """
        return generate_examples(
            _mean_one, self, n_samples, key=key, condition=condition, chunk_size=chunk_size
        )


def _codes_one(model: VQVAE, condition: Array | None, *, key: Key[Array, ""]) -> Array:
    codes_key, _ = jax.random.split(key)
    return model.prior.sample(condition_vector(model.config, condition), key=codes_key)


def _mean_one(model: VQVAE, condition: Array | None, *, key: Key[Array, ""]) -> Array:
    return model._generated_likelihood_one(condition, key=key)[0].mean()
