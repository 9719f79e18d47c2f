"""The VAE with several layers of Gaussian latents.

    p(x, z_1, ..., z_L) = p(z_L) p(z_{L-1}|z_L) ... p(z_1|z_2) p(x|z_1),      p(z_L) = N(0, 1),

where each conditional is a diagonal Gaussian from a network. The posterior goes along the ladder or from the bottom
up (`config.inference`). The ELBO is E[log p(x|z_1)] minus a KL term for each layer.
"""

from collections.abc import Callable

import distrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key, PyTree

from artifex.generative_models.core.configuration import HierarchicalVAEConfig
from artifex.generative_models.core.distributions import AbstractLikelihood, make_likelihood
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.models.backbones import condition_vector, make_decoder
from artifex.generative_models.models.vae.base import AbstractVAE
from artifex.generative_models.models.vae.bounds import ElboTerms, LogWeights, log_ratio
from artifex.generative_models.models.vae.hierarchical_inference import (
    AbstractHierarchicalInference,
    LatentPath,
    make_hierarchical_inference,
)
from artifex.generative_models.models.vae.hierarchy import Hierarchy, Latents
from artifex.generative_models.models.vae.objectives import AbstractObjective, make_objective


@register_model(HierarchicalVAEConfig)
class HierarchicalVAE(AbstractVAE):
    """Variational autoencoder with layers of latents `(z_1, ..., z_L)`, z_1 next to the data.

    `encode` gives the tuple of all layers. `decode` takes that tuple (of which x depends on z_1 alone), or the array
    z_L, from which it goes down by each layer's mean. `interpolate` goes straight in the noise from which the prior
    would make the latents, `(z_l - mean_l) / scale_l` given the layer above: both ends are the reconstructions, and
    what lies between keeps the relations between layers. With the objective "elbo", a rising `kl_weight` keeps the
    upper layers in use (Soenderby et al. 2016). The KL of each layer is a metric, "kl_1", "kl_2", ...

    Source: Soenderby et al. 2016, arXiv:1602.02282 (ladder); Burda et al. 2016, arXiv:1509.00519 (bottom-up).

    >>> from artifex.generative_models.factory import create_model
    >>> model = create_model(HierarchicalVAEConfig(latent_sizes=(4, 2)), key=jax.random.key(0))
    >>> [z.shape for z in model.encode(model.generate(3, key=jax.random.key(1)))]
    [(3, 4), (3, 2)]
    """

    config: HierarchicalVAEConfig = eqx.field(static=True)
    inference: AbstractHierarchicalInference
    hierarchy: Hierarchy
    decoder: Callable[..., Array]
    likelihood: AbstractLikelihood
    objective: AbstractObjective

    def __init__(self, config: HierarchicalVAEConfig, *, key: Key[Array, ""]):
        """Random parameters.

        Args:
            config: sizes and kinds of all parts.
            key: randomness of the parameters.
        """
        inference_key, hierarchy_key, decoder_key = jax.random.split(key, 3)
        self.config = config
        self.likelihood = make_likelihood(config.likelihood, config.event_shape)
        self.inference = make_hierarchical_inference(config.inference, config, key=inference_key)
        self.hierarchy = Hierarchy(config, key=hierarchy_key)
        self.decoder = make_decoder(
            config.decoder,
            config.latent_sizes[0],
            condition_size=config.condition_size,
            out_shape=self.likelihood.output_shape,
            key=decoder_key,
        )
        self.objective = make_objective(config.objective, config.kl_weight)

    def _path_one(self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None) -> LatentPath:
        vector = condition_vector(self.config, condition)
        return self.inference.path(self.inference.features(x, vector), self.hierarchy, vector, key=key)

    def _elbo_terms_one(self, x: Array, condition: Array | None, *, key: Key[Array, ""]) -> ElboTerms:
        path = self._path_one(x, condition, key=key)
        kl = self.inference.kl(path)
        return ElboTerms(
            z=path.latents,
            reconstruction=jnp.negative(self._likelihood_one(path.latents, condition).log_prob(x)),
            kl=sum(kl[1:], kl[0]),
            kl_parts={f"kl_{layer}": part for layer, part in enumerate(kl, start=1)},
        )

    def _log_weights_one(
        self, x: Array, condition: Array | None, *, keys: Key[Array, " samples"]
    ) -> LogWeights:
        vector = condition_vector(self.config, condition)
        features = self.inference.features(x, vector)

        def one(key: Key[Array, ""]) -> tuple[Array, list[Array]]:
            path = self.inference.path(features, self.hierarchy, vector, key=key)
            ratios = [
                log_ratio(prior, posterior, z)
                for z, posterior, prior in zip(path.latents, path.posteriors, path.priors, strict=True)
            ]
            return jnp.asarray(self._likelihood_one(path.latents, condition).log_prob(x)), ratios

        likelihood, ratios = jax.vmap(one)(keys)
        return LogWeights(
            likelihood=likelihood,
            ratio=sum(ratios[1:], ratios[0]),
            ratio_parts={f"kl_{layer}": part for layer, part in enumerate(ratios, start=1)},
        )

    def _likelihood_one(self, z: PyTree[Array], condition: Array | None) -> distrax.Distribution:
        vector = condition_vector(self.config, condition)
        lowest = self._checked_latents(z)[0] if isinstance(z, tuple) else self._means_below(z, vector)[0]
        return self.likelihood(self.decoder(lowest, vector))

    def _prior_sample_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Latents:
        return self.hierarchy.sample(condition_vector(self.config, condition), key=key)

    def _encode_one(self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None) -> Latents:
        return self._path_one(x, condition, key=key).latents

    def _interpolate_one(
        self, start: Array, end: Array, weight: Float[Array, ""], condition: Array | None
    ) -> Array:
        start_noise, end_noise = (
            [(z - prior.mean()) / prior.stddev() for z, prior in zip(path.latents, path.priors, strict=True)]
            for path in (self._path_one(x, condition, key=None) for x in (start, end))
        )
        noise = [a + weight * (b - a) for a, b in zip(start_noise, end_noise, strict=True)]
        latents, _ = self.hierarchy.descend(
            lambda layer, prior: prior.mean() + prior.stddev() * noise[layer],
            condition_vector(self.config, condition),
        )
        return self._decode_one(latents, condition)

    def _means_below(self, top: Array, vector: Float[Array, " n"] | None) -> Latents:
        """Latents of all layers, given the top ones."""
        size = self.config.latent_sizes[-1]
        if top.shape != (size,):
            raise ValueError(
                f"latents of the top layer must have shape (batch, {size}); got (batch, *{top.shape})"
            )
        last = len(self.config.latent_sizes) - 1
        return self.hierarchy.descend(
            lambda layer, prior: jnp.asarray(top, prior.mean().dtype) if layer == last else prior.mean(),
            vector,
        )[0]

    def _checked_latents(self, z: Latents) -> Latents:
        sizes = tuple(part.shape for part in z)
        wanted = tuple((size,) for size in self.config.latent_sizes)
        if sizes != wanted:
            raise ValueError(
                f"latents must be a tuple of {len(wanted)} arrays of sizes {self.config.latent_sizes}, z_1 first; "
                f"got one-example shapes {sizes}"
            )
        return z
