"""The normalizing flow, of which NICE, RealNVP, MAF, IAF and neural spline flows are configs.

    x = f(z; c),   z ~ p(z),   log p(x | c) = log p(z) + log |det dz/dx|

with a bijection f, trained by maximum likelihood. Source: Papamakarios et al. 2021, arXiv:1912.02762.
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import (
    ActNormConfig,
    BijectionFlowConfig,
    ChainConfig,
    FlowConfig,
    GlowConfig,
    IAFConfig,
    ImageRealNVPConfig,
    MAFConfig,
    NAFConfig,
    NICEConfig,
    NSFConfig,
    RealNVPConfig,
    ResidualFlowConfig,
    SetFlowConfig,
    VectorFlowConfig,
)
from artifex.generative_models.core.examples import value_range
from artifex.generative_models.core.models import checked_batch, map_examples, mean_loss
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.models.backbones import condition_vector
from artifex.generative_models.models.backbones.bijections import (
    AbstractBijection,
    ActNorm,
    estimated_inverse_and_log_det,
    has_estimates,
    initialized,
    make_bijection,
    with_advanced_norms,
)
from artifex.generative_models.models.backbones.interpolation import spherical_interpolation
from artifex.generative_models.models.flow.base import AbstractFlow, sample_latent
from artifex.generative_models.models.flow.conditions import ConditionNorm
from artifex.generative_models.models.flow.latent import latent_density
from artifex.generative_models.models.flow.layers import flow_layers


@value_range.register
def _(config: BijectionFlowConfig) -> tuple[float, float] | None:
    return config.data_interval


@register_model(BijectionFlowConfig)
@register_model(NICEConfig)
@register_model(RealNVPConfig)
@register_model(MAFConfig)
@register_model(IAFConfig)
@register_model(NSFConfig)
@register_model(NAFConfig)
@register_model(SetFlowConfig)
@register_model(GlowConfig)
@register_model(ImageRealNVPConfig)
@register_model(ResidualFlowConfig)
class NormalizingFlow(AbstractFlow):
    """A bijection from latents of a simple density to examples, with exact densities of both.

    Latents are vectors, whatever the shape of an example. `log_prob` is exact, so it needs no key; the loss of residual
    layers may estimate it with its own, and `estimated_log_prob` does so with the one that it is given.

    >>> from artifex.generative_models.factory import create_model
    >>> flow = create_model(NSFConfig(event_shape=(2,), num_layers=2), key=jax.random.key(0))
    >>> x, log_prob = flow.sample_and_log_prob(5, key=jax.random.key(1))
    >>> bool(jnp.allclose(flow.log_prob(x), log_prob, atol=1e-4))
    True

    Attributes:
        bijection: from latents to examples.
        condition_norm: what conditions go through first; None: they are labels, or taken as they are.
    """

    log_prob_kind: ClassVar[str] = "exact"

    config: FlowConfig = eqx.field(static=True)
    bijection: AbstractBijection
    condition_norm: ConditionNorm | None

    def __init__(self, config: FlowConfig, *, key: Key[Array, ""]):
        """Random weights.

        Args:
            config: layers and density of the latents.
            key: randomness of the weights.

        Raises:
            ValueError: the layers change the length of the vector, or do not fit it.
        """
        self.config = config
        size, layers = config.event_size, flow_layers(config)
        is_standardized = isinstance(config, VectorFlowConfig) and config.standardize
        if is_standardized:
            layers = ChainConfig(layers=(layers, ActNormConfig()))
        self.bijection = make_bijection(layers, (size,), condition_size=config.condition_size, key=key)
        self.condition_norm = None
        if is_standardized and config.condition_shape is not None:
            self.condition_norm = ConditionNorm(config.condition_size)
        if self.bijection.out_shape not in ((size,), config.event_shape):
            raise ValueError(
                f"the flow's layers must map vectors of {size} numbers to such vectors or to examples of shape "
                f"{config.event_shape}; they lead to shape {self.bijection.out_shape}"
            )
        if config.condition_size and not self.bijection.condition_size:
            raise ValueError(
                "the model is conditional, but none of its layers takes a condition: use one that does, such as "
                "`coupling`, or leave `num_classes` and `condition_shape` out"
            )

    # One example

    def condition_vector(self, condition: Array | None) -> Float[Array, " condition_size"] | None:
        """One condition as the bijection takes it."""
        vector = condition_vector(self.config, condition)
        return vector if vector is None or self.condition_norm is None else self.condition_norm(vector)

    def _log_prob_terms_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The log-density of the latent, and the logarithm of the volume change towards it: an estimate with a key."""
        y, vector = x.reshape(self.bijection.out_shape), self.condition_vector(condition)
        if key is None:
            z, log_det = self.bijection.inverse_and_log_det(y, vector)
        else:
            z, log_det = estimated_inverse_and_log_det(self.bijection, y, vector, key=key)
        density = latent_density(self.config.latent, self.config.event_size)
        return jnp.asarray(density.log_prob(z)), log_det

    def _log_prob_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, ""]:
        latent_log_prob, log_det = self._log_prob_terms_one(x, condition, key=None)
        return self._where_supported(x, latent_log_prob + log_det)

    def _estimated_log_prob_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""]
    ) -> Float[Array, ""]:
        latent_log_prob, log_det = self._log_prob_terms_one(x, condition, key=key)
        return self._where_supported(x, latent_log_prob + log_det)

    def _where_supported(self, x: Array, log_prob: Float[Array, ""]) -> Float[Array, ""]:
        """The log-density; that of an example which no latent leads to is minus infinity."""
        limits = value_range(self.config)
        if limits is None:
            return log_prob
        return jnp.where(jnp.all((x >= limits[0]) & (x <= limits[1])), log_prob, -jnp.inf)

    def _loss_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        has_key = has_estimates(self.bijection)
        latent_log_prob, log_det = self._log_prob_terms_one(x, condition, key=key if has_key else None)
        return -latent_log_prob - log_det, {"latent_log_prob": latent_log_prob, "log_det": log_det}

    def _loss_batch(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        bijection = with_advanced_norms(self.bijection)
        if bijection is self.bijection:
            return mean_loss(self._loss_one, x, condition, key=key)
        model = eqx.tree_at(lambda model: model.bijection, self, bijection)
        output = mean_loss(model._loss_one, x, condition, key=key)
        return LossOutput(total=output.total, metrics=output.metrics, model=model)

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        return self._decode_one(sample_latent(self.config, key=key)[0], condition)

    def _sample_and_log_prob_one(
        self, condition: Array | None, temperature: Float[Array, ""], *, key: Key[Array, ""]
    ) -> tuple[Array, Float[Array, ""]]:
        z, latent_log_prob = sample_latent(self.config, temperature, key=key)
        x, log_det = self.bijection.forward_and_log_det(z, self.condition_vector(condition))
        return x.reshape(self.config.event_shape), latent_log_prob - log_det

    def _encode_one(self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None) -> Array:
        return self.bijection.inverse(x.reshape(self.bijection.out_shape), self.condition_vector(condition))

    def _decode_one(self, z: Array, condition: Array | None) -> Array:
        x = self.bijection.forward(z, self.condition_vector(condition))
        return x.reshape(self.config.event_shape)

    def _interpolate_one(
        self, start: Array, end: Array, weight: Float[Array, ""], condition: Array | None
    ) -> Array:
        z_start, z_end = (self._encode_one(x, condition, key=None) for x in (start, end))
        return self._decode_one(spherical_interpolation(z_start, z_end, weight), condition)

    # A batch

    def estimated_log_prob(
        self, x: Arrays, condition: Arrays | None = None, *, key: Key[Array, ""]
    ) -> Float[Array, " batch"]:
        """Unbiased estimates of `log_prob`, by residual layers with an estimator; other layers are exact.

        They need no Jacobian, whose cost grows with the cube of the number of entries.

        Args:
            x: batch of examples, shape `(batch, *event_shape)`.
            condition: batch of conditions, for a conditional model.
            key: randomness of the estimate.
        """
        return map_examples(NormalizingFlow._estimated_log_prob_one, self, x, condition, key)

    @property
    def starts_from_data(self) -> bool:
        """Whether there is a norm that `initialized` has not set; not known while a function is traced."""
        if self.condition_norm is not None and not np.asarray(self.condition_norm.is_set).all():
            return True
        nodes = jax.tree.leaves(self.bijection, is_leaf=lambda node: isinstance(node, ActNorm))
        return any(isinstance(node, ActNorm) and not np.asarray(node.is_set).all() for node in nodes)

    def initialized(
        self, x: Arrays, condition: Arrays | None = None, *, key: Key[Array, ""] | None = None
    ) -> "NormalizingFlow":
        """The same model with every `act_norm` set so that what leaves it towards the latents is standardised.

        So are conditions, where the config says `standardize`.

        Args:
            x: a batch of data, shape `(batch, *event_shape)`, at least two examples.
            condition: their conditions, for a conditional model.
            key: not used, as nothing is random.
        """
        x, condition = checked_batch(self.config, x, condition)
        norm, vectors = self.condition_norm, None
        if condition is not None:
            vectors = jax.vmap(lambda one: jnp.asarray(condition_vector(self.config, one)))(condition)
            norm = None if norm is None else norm.fitted(vectors)
            vectors = vectors if norm is None else jax.vmap(norm)(vectors)
        bijection = initialized(self.bijection, x.reshape(len(x), *self.bijection.out_shape), vectors)
        return eqx.tree_at(
            lambda model: (model.bijection, model.condition_norm),
            self,
            (bijection, norm),
            is_leaf=lambda node: node is None,
        )
