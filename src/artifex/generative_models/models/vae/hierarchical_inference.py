"""Posteriors over several layers of latents: along the ladder, or from the bottom up."""

import abc
import functools
from collections.abc import Callable
from typing import NamedTuple

import distrax
import equinox as eqx
import jax
from jaxtyping import Array, Float, Key, PyTree

from artifex.generative_models.core.configuration import (
    BottomUpInferenceConfig,
    HierarchicalInferenceConfig,
    HierarchicalVAEConfig,
    LadderInferenceConfig,
    MLPDecoderConfig,
)
from artifex.generative_models.core.distributions import kl_divergence, normal, normal_from_output
from artifex.generative_models.models.backbones import activation_function, make_decoder, make_encoder
from artifex.generative_models.models.vae.bounds import log_ratio
from artifex.generative_models.models.vae.hierarchy import Distributions, Hierarchy, Latents, NormalLayer


class LatentPath(NamedTuple):
    """One posterior sample through all layers, from z_1 upwards.

    Attributes:
        latents: the sample.
        posteriors: of each layer, given the layers that were sampled before it.
        priors: of each layer, given the layer above.
    """

    latents: Latents
    posteriors: Distributions
    priors: Distributions


class AbstractHierarchicalInference(eqx.Module):
    """q(z_1, ..., z_L | x)."""

    @abc.abstractmethod
    def features(self, x: Array, condition_vector: Float[Array, " n"] | None) -> PyTree[Array]:
        """What is computed once for an example, however many samples follow."""

    @abc.abstractmethod
    def path(
        self,
        features: PyTree[Array],
        hierarchy: Hierarchy,
        condition_vector: Float[Array, " n"] | None,
        *,
        key: Key[Array, ""] | None,
    ) -> LatentPath:
        """A sample through all layers with a key; without one, each layer's mean given that of the one before."""

    @abc.abstractmethod
    def kl(self, path: LatentPath) -> tuple[Float[Array, ""], ...]:
        """For each layer, an unbiased estimate of its term of the KL, in nats, by the samples of the others."""


class LadderInference(AbstractHierarchicalInference):
    """Deterministic features d_1, ..., d_L upwards, then latents downwards beside the generative model.

    Each d_l gives a normal likelihood of z_l. Below the top, the posterior is its normalised product with the prior
    p(z_l | z_{l+1}); at the top it is the posterior.

    Source: Soenderby et al. 2016, arXiv:1602.02282, equations 18 and 19 for the product. Deviation: no batch
    normalisation, as a result must not depend on the other examples of a batch.
    """

    first: Callable[..., Array]
    rest: tuple[Callable[..., Array], ...]
    heads: tuple[NormalLayer, ...]
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self, config: LadderInferenceConfig, model_config: HierarchicalVAEConfig, *, key: Key[Array, ""]
    ):
        size, num_layers = config.feature_size, len(model_config.latent_sizes)
        first_key, rest_key, head_key = jax.random.split(key, 3)
        network = MLPDecoderConfig(hidden_sizes=model_config.hidden_sizes, activation=model_config.activation)
        self.first = make_encoder(
            model_config.encoder,
            model_config.event_shape,
            condition_size=model_config.condition_size,
            out_size=size,
            key=first_key,
        )
        self.rest = tuple(
            make_decoder(network, size, out_shape=(size,), key=key)
            for key in jax.random.split(rest_key, num_layers - 1)
        )
        self.heads = tuple(
            NormalLayer(size, latent_size, config=MLPDecoderConfig(hidden_sizes=()), key=key)
            for latent_size, key in zip(
                model_config.latent_sizes, jax.random.split(head_key, num_layers), strict=True
            )
        )
        self.activation = activation_function(model_config.activation)

    def features(self, x: Array, condition_vector: Float[Array, " n"] | None) -> PyTree[Array]:
        """d_1, ..., d_L."""
        found = [self.activation(self.first(x, condition_vector))]
        for network in self.rest:
            found.append(self.activation(network(found[-1])))
        return tuple(found)

    def path(
        self,
        features: PyTree[Array],
        hierarchy: Hierarchy,
        condition_vector: Float[Array, " n"] | None,
        *,
        key: Key[Array, ""] | None,
    ) -> LatentPath:
        """From the top down."""
        posteriors: dict[int, distrax.Distribution] = {}
        choose = _chooser(key, len(features))

        def descend_to(layer: int, prior: distrax.Distribution) -> Array:
            evidence = self.heads[layer](features[layer])
            is_top = layer == len(features) - 1
            posteriors[layer] = evidence if is_top else normalised_product(evidence, prior)
            return choose(layer, posteriors[layer])

        latents, priors = hierarchy.descend(descend_to, condition_vector)
        return LatentPath(latents, tuple(posteriors[layer] for layer in range(len(features))), priors)

    def kl(self, path: LatentPath) -> tuple[Float[Array, ""], ...]:
        """In closed form: posterior and prior of a layer are both given the layer above."""
        return tuple(map(kl_divergence, path.posteriors, path.priors))


class BottomUpInference(AbstractHierarchicalInference):
    """q(z_1|x) q(z_2|z_1) ... q(z_L|z_{L-1}): the latents themselves go upwards.

    Source: Burda et al. 2016, arXiv:1509.00519, section 2, equation 7.
    """

    first: Callable[..., Array]
    layers: tuple[NormalLayer, ...]

    def __init__(self, model_config: HierarchicalVAEConfig, *, key: Key[Array, ""]):
        sizes = model_config.latent_sizes
        first_key, rest_key = jax.random.split(key)
        network = MLPDecoderConfig(hidden_sizes=model_config.hidden_sizes, activation=model_config.activation)
        self.first = make_encoder(
            model_config.encoder,
            model_config.event_shape,
            condition_size=model_config.condition_size,
            out_size=2 * sizes[0],
            key=first_key,
        )
        self.layers = tuple(
            NormalLayer(below, size, config=network, condition_size=model_config.condition_size, key=key)
            for below, size, key in zip(
                sizes[:-1], sizes[1:], jax.random.split(rest_key, len(sizes) - 1), strict=True
            )
        )

    def features(self, x: Array, condition_vector: Float[Array, " n"] | None) -> PyTree[Array]:
        """Parameters of q(z_1|x)."""
        return self.first(x, condition_vector)

    def path(
        self,
        features: PyTree[Array],
        hierarchy: Hierarchy,
        condition_vector: Float[Array, " n"] | None,
        *,
        key: Key[Array, ""] | None,
    ) -> LatentPath:
        """From the bottom up; the priors follow."""
        choose = _chooser(key, len(self.layers) + 1)
        posteriors = [normal_from_output(features)]
        latents = [choose(0, posteriors[0])]
        for layer, network in enumerate(self.layers, start=1):
            posteriors.append(network(latents[-1], condition_vector))
            latents.append(choose(layer, posteriors[-1]))
        _, priors = hierarchy.descend(lambda layer, prior: latents[layer], condition_vector)
        return LatentPath(tuple(latents), tuple(posteriors), priors)

    def kl(self, path: LatentPath) -> tuple[Float[Array, ""], ...]:
        """`log q - log p` at the sample, as the prior depends on the layer above; the top one in closed form."""
        lower = [
            log_ratio(posterior, prior, z)
            for z, posterior, prior in zip(path.latents[:-1], path.posteriors, path.priors, strict=False)
        ]
        return (*lower, kl_divergence(path.posteriors[-1], path.priors[-1]))


def normalised_product(p: distrax.Distribution, q: distrax.Distribution) -> distrax.Distribution:
    """The normal whose density is proportional to the product of two: precisions add, means are weighed by them."""
    p_mean, p_scale, q_mean, q_scale = p.mean(), p.stddev(), q.mean(), q.stddev()
    p_variance, q_variance = p_scale**2, q_scale**2
    total = p_variance + q_variance
    # Without reciprocals of the variances, so that narrow ones do not overflow.
    return normal((p_mean * q_variance + q_mean * p_variance) / total, p_scale * q_scale * total**-0.5)


def _chooser(
    key: Key[Array, ""] | None, num_layers: int
) -> Callable[[int, distrax.Distribution], Float[Array, " latent"]]:
    """How a layer's latents come from their posterior: sampled with a key, or its mean."""
    if key is None:
        return lambda layer, posterior: posterior.mean()
    keys = jax.random.split(key, num_layers)
    return lambda layer, posterior: posterior.sample(seed=keys[layer])


@functools.singledispatch
def make_hierarchical_inference(
    config: HierarchicalInferenceConfig, model_config: HierarchicalVAEConfig, *, key: Key[Array, ""]
) -> AbstractHierarchicalInference:
    """The inference networks that a config describes.

    Args:
        config: which kind. Register another with `make_hierarchical_inference.register`.
        model_config: of the model that they become part of.
        key: randomness of the parameters.
    """
    raise LookupError(
        f"no inference is registered for {type(config).__name__}; use @make_hierarchical_inference.register"
    )


@make_hierarchical_inference.register
def _(
    config: LadderInferenceConfig, model_config: HierarchicalVAEConfig, *, key: Key[Array, ""]
) -> AbstractHierarchicalInference:
    return LadderInference(config, model_config, key=key)


@make_hierarchical_inference.register
def _(
    config: BottomUpInferenceConfig, model_config: HierarchicalVAEConfig, *, key: Key[Array, ""]
) -> AbstractHierarchicalInference:
    return BottomUpInference(model_config, key=key)
