"""TarFlow: a flow on the patches of an image whose layers are autoregressive transformers.

With the patches x_1 ... x_T in order, or in reverse in every second layer, a layer maps data to latents by

    z_t = (x_t - mu_t(x_1 ... x_(t-1); c)) exp(-alpha_t(x_1 ... x_(t-1); c)),

in one pass. Trained on images with noise, y = x + sigma e, it knows the density of y; and the mean of the images that
y may come from is

    E[x | y] = y + sigma^2 grad_y log p(y),

which rids samples of the noise.

Sources: Zhai et al. 2024, arXiv:2412.06329, sections 2.2 to 2.6; the mean: Efron 2011, "Tweedie's formula and selection
bias".
"""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import (
    AffineTransformerConfig,
    ChainConfig,
    ReverseConfig,
    TarFlowConfig,
    TransformerAutoregressiveConfig,
)
from artifex.generative_models.core.models import (
    AbstractDensityModel,
    AbstractLatentModel,
    generate_examples,
    map_examples,
    mean_loss,
)
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.models.backbones.bijections import (
    AbstractBijection,
    PatchesToImage,
    ScannedBijection,
    make_bijection,
)
from artifex.generative_models.models.backbones.conditions import flagged_condition
from artifex.generative_models.models.backbones.interpolation import spherical_interpolation
from artifex.generative_models.models.flow.latent import latent_density


@register_model(TarFlowConfig)
class TarFlow(AbstractDensityModel, AbstractLatentModel):
    """Exact densities of images, in one pass; sampling as one compiled loop over the patches of each layer.

    Densities, `encode` and `decode` are those of images with the noise of training on them. `generate` takes the noise
    away. Latents are patches, shape `(patches, numbers)`.

    >>> from artifex.generative_models.factory import create_model
    >>> config = TarFlowConfig(event_shape=(1, 4, 4), num_classes=3, condition_dropout=0.1, hidden_size=16)
    >>> flow = create_model(config, key=jax.random.key(0))
    >>> labels = jnp.array([0, 1, 2])
    >>> flow.sample(3, key=jax.random.key(1), condition=labels, guidance_scale=2.0).shape
    (3, 1, 4, 4)

    Attributes:
        layers: from latents to patches.
        patches: from patches to images.
    """

    log_prob_kind: ClassVar[str] = "exact"

    config: TarFlowConfig = eqx.field(static=True)
    layers: ScannedBijection
    patches: PatchesToImage

    def __init__(self, config: TarFlowConfig, *, key: Key[Array, ""]):
        """Random weights; at first the identity.

        Args:
            config: sizes, noise and guidance.
            key: randomness of the weights.
        """
        self.config = config
        self.patches = PatchesToImage(config.event_shape, config.patch_size)
        layer = TransformerAutoregressiveConfig(
            transformer=AffineTransformerConfig(max_log_scale=config.max_log_scale),
            hidden_size=config.hidden_size,
            num_layers=config.num_hidden_layers,
            num_heads=config.num_heads,
        )
        alternating = ChainConfig(layers=(layer, ReverseConfig(axis=0)))
        flag_size = 1 if config.condition_dropout > 0 else 0
        condition_size = config.condition_size + flag_size

        def make_layer(key: Key[Array, ""]) -> AbstractBijection:
            return make_bijection(
                alternating, self.patches.event_shape, condition_size=condition_size, key=key
            )

        self.layers = ScannedBijection(make_layer, config.num_layers, key=key)

    # One example

    def _log_prob_terms_one(
        self, x: Array, condition: Array | None, is_withheld: Bool[Array, ""] | bool = False
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """The log-density of the latents, and the logarithm of the volume change towards them."""
        z, log_det = self.layers.inverse_and_log_det(
            self.patches.inverse(x), self._condition(condition, is_withheld)
        )
        return self._latent_log_prob(z), log_det

    def _log_prob_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, ""]:
        latent_log_prob, log_det = self._log_prob_terms_one(x, condition)
        return latent_log_prob + log_det

    def _loss_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        noise_key, dropout_key = jax.random.split(key)
        noisy = x + self.config.noise_scale * jax.random.normal(noise_key, x.shape, x.dtype)
        is_withheld = jax.random.bernoulli(dropout_key, self.config.condition_dropout)
        latent_log_prob, log_det = self._log_prob_terms_one(noisy, condition, is_withheld)
        return -latent_log_prob - log_det, {"latent_log_prob": latent_log_prob, "log_det": log_det}

    def _loss_batch(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        return mean_loss(self._loss_one, x, condition, key=key)

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        scale = self.config.guidance_scale
        if scale == 1:
            return _sample_one(self, condition, jnp.ones(()), key=key)
        return _guided_sample_one(self, condition, jnp.ones(()), jnp.asarray(scale), key=key)

    def _encode_one(self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None) -> Array:
        return self.layers.inverse(self.patches.inverse(x), self._condition(condition))

    def _decode_one(self, z: Array, condition: Array | None) -> Array:
        return self.patches.forward(self.layers.forward(z, self._condition(condition)))

    def _interpolate_one(
        self, start: Array, end: Array, weight: Float[Array, ""], condition: Array | None
    ) -> Array:
        z_start, z_end = (self._encode_one(x, condition, key=None) for x in (start, end))
        return self._decode_one(spherical_interpolation(z_start, z_end, weight), condition)

    def _denoise_one(self, y: Array, condition: Array | None, *, key: Key[Array, ""] | None) -> Array:
        if self.config.noise_scale == 0:
            return y
        score = jax.grad(lambda y: self._log_prob_one(y, condition, key=None))(y)
        return y + self.config.noise_scale**2 * score

    def _guided_decode_one(
        self, z: Array, condition: Array | None, guidance_scale: Float[Array, ""]
    ) -> Array:
        conditions = jnp.stack(
            [jnp.asarray(self._condition(condition, is_withheld)) for is_withheld in (False, True)]
        )
        weights = jnp.stack([guidance_scale, 1.0 - guidance_scale])

        def step(pair, z: Array, _: None) -> tuple[Array, None]:
            layer, order = pair.bijections
            return order.forward(layer.guided_forward(z, conditions, weights)), None

        return self.patches.forward(self.layers.stack.scan(step, z, None)[0])

    def _condition(
        self, condition: Array | None, is_withheld: Bool[Array, ""] | bool = False
    ) -> Array | None:
        flag = is_withheld if self.config.condition_dropout > 0 else None
        return flagged_condition(self.config, condition, flag)

    def _latent_log_prob(self, z: Array) -> Float[Array, ""]:
        density = latent_density(self.config.latent, self.config.event_size)
        return jnp.asarray(density.log_prob(z.ravel()))

    def _latent_one(self, *, key: Key[Array, ""]) -> Array:
        density = latent_density(self.config.latent, self.config.event_size)
        return density.sample(seed=key).reshape(self.patches.event_shape)

    # A batch

    def sample(
        self,
        n_samples: int,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        guidance_scale: float | None = None,
        temperature: float = 1.0,
        chunk_size: int | None = None,
    ) -> Float[Array, "n_samples ..."]:
        """New images, without noise, as `generate` makes them, but with other guidance or another temperature.

        Args:
            n_samples: how many.
            key: as of `generate`: with the same guidance, at temperature 1, the images are the same.
            condition: one for each sample, or a single one for all; None for an unconditional model.
            guidance_scale: 0: as without condition, 1: with it, more: stronger; None: the config's. New values other
                than 1 compile nothing.
            temperature: factor of the scale of the latents.
            chunk_size: at most so many samples at once.

        Raises:
            ValueError: the temperature is not positive, the guidance negative, or the model has learned no guidance.
        """
        if not temperature > 0:
            raise ValueError(f"`temperature` must be positive; got {temperature}")
        scale = self.config.guidance_scale if guidance_scale is None else guidance_scale
        if scale < 0:
            raise ValueError(f"`guidance_scale` must not be negative; got {scale}")
        if scale != 1 and self.config.condition_dropout == 0:
            raise ValueError(
                "`guidance_scale` other than 1 needs a model that also learned without conditions: train it with "
                f"`condition_dropout`, such as 0.1; got {scale}"
            )
        temperatures, scales = (jnp.full(n_samples, value, jnp.float32) for value in (temperature, scale))
        options = {"key": key, "condition": condition, "chunk_size": chunk_size}
        if scale == 1:
            return generate_examples(_sample_one, self, n_samples, inputs=(temperatures,), **options)
        return generate_examples(
            _guided_sample_one, self, n_samples, inputs=(temperatures, scales), **options
        )

    def sample_and_log_prob(
        self,
        n_samples: int,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        chunk_size: int | None = None,
    ) -> tuple[Float[Array, "n_samples ..."], Float[Array, " n_samples"]]:
        """New images with the noise of training, without guidance, and the logarithm of their density, in one pass.

        Args:
            n_samples: how many.
            key: as of `generate`.
            condition: one for each sample, or a single one for all; None for an unconditional model.
            chunk_size: at most so many samples at once.

        Returns:
            Images of shape `(n_samples, *event_shape)`, and one number for each, in nats.
        """
        return generate_examples(
            _sample_and_log_prob_one, self, n_samples, key=key, condition=condition, chunk_size=chunk_size
        )

    def denoise(self, y: Arrays, condition: Arrays | None = None) -> Float[Array, "batch ..."]:
        """The mean of the images that noisy ones may come from, `y + noise_scale^2 grad log p(y)`.

        Args:
            y: images with the noise of training, shape `(batch, *event_shape)`.
            condition: their conditions, for a conditional model.
        """
        return map_examples(type(self)._denoise_one, self, y, condition, None)


def _sample_one(
    model: TarFlow, condition: Array | None, temperature: Float[Array, ""], *, key: Key[Array, ""]
) -> Array:
    noisy = model._decode_one(temperature * model._latent_one(key=key), condition)
    return model._denoise_one(noisy, condition, key=None)


def _guided_sample_one(
    model: TarFlow,
    condition: Array | None,
    temperature: Float[Array, ""],
    guidance_scale: Float[Array, ""],
    *,
    key: Key[Array, ""],
) -> Array:
    z = temperature * model._latent_one(key=key)
    return model._denoise_one(model._guided_decode_one(z, condition, guidance_scale), condition, key=None)


def _sample_and_log_prob_one(
    model: TarFlow, condition: Array | None, *, key: Key[Array, ""]
) -> tuple[Array, Float[Array, ""]]:
    z = model._latent_one(key=key)
    x, log_det = model.layers.forward_and_log_det(z, model._condition(condition))
    return model.patches.forward(x), model._latent_log_prob(z) - log_det
