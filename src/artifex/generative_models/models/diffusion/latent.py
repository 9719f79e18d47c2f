"""Diffusion in the latents of an autoencoder that is trained first."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import (
    GuidanceConfig,
    LatentDiffusionConfig,
    SamplerConfig,
    SpacingConfig,
)
from artifex.generative_models.core.examples import value_range
from artifex.generative_models.core.models import AbstractLatentModel, checked_batch, conditions_for
from artifex.generative_models.core.pretraining import check_has_pretrained, check_part
from artifex.generative_models.core.protocols import LossOutput, SpatialAutoencoder
from artifex.generative_models.core.random import check_key, example_keys
from artifex.generative_models.core.registry import model_builder, register_model
from artifex.generative_models.core.sampling import AbstractSampler, Sampled
from artifex.generative_models.core.trainable import Buffer
from artifex.generative_models.models.diffusion.latent_space import LatentSpace, measured, unmeasured
from artifex.generative_models.models.diffusion.model import GaussianDiffusion


@value_range.register
def _(config: LatentDiffusionConfig) -> tuple[float, float] | None:
    return value_range(config.autoencoder)


@register_model(LatentDiffusionConfig)
class LatentDiffusion(AbstractLatentModel):
    """A diffusion model of the shifted and scaled latents of a frozen autoencoder.

        autoencoder = fit(create_model(config.autoencoder, key=key), data, training, key=key).model
        model = create_model(config, key=key).with_pretrained(autoencoder, x, key=key)
        model = fit(model, data, training, key=key).model

    Without a trained autoencoder it neither learns nor generates. `encode`, `decode`, `reconstruct` and `interpolate`
    are those of the autoencoder, in the latents that the diffusion model sees; `diffusion` has those between latents
    and noise. What a diffusion model does with data it does here with latents; an edited picture, for one, is

        model.decode(model.diffusion.edit(model.encode(x), 0.6, key=key).x)

    Source: Rombach et al. 2022, arXiv:2112.10752, equation 2, and section 3.3 for conditions.
    """

    config: LatentDiffusionConfig = eqx.field(static=True)
    frozen: Buffer
    diffusion: GaussianDiffusion

    def __init__(self, config: LatentDiffusionConfig, *, key: Key[Array, ""]):
        """Random parameters, and an autoencoder that is not trained.

        Args:
            config: both parts.
            key: randomness of the parameters.

        Raises:
            TypeError: one of the configs is that of another kind of model.
        """
        autoencoder_key, diffusion_key = jax.random.split(key)
        autoencoder = model_builder(type(config.autoencoder))(config.autoencoder, key=autoencoder_key)
        diffusion = model_builder(type(config.diffusion))(config.diffusion, key=diffusion_key)
        if not isinstance(diffusion, GaussianDiffusion):
            raise TypeError(f"`diffusion` must be a Gaussian diffusion model; got {type(diffusion).__name__}")
        self.config = config
        self.frozen = Buffer(unmeasured(autoencoder, config.autoencoder))
        self.diffusion = diffusion

    @property
    def latents(self) -> LatentSpace:
        """The autoencoder, and the shift and scale of its latents."""
        return self.frozen.value

    @property
    def autoencoder(self) -> SpatialAutoencoder:
        """The frozen autoencoder."""
        return self.latents.autoencoder

    @property
    def has_pretrained(self) -> bool:
        """Whether the autoencoder is a trained one; taken for granted while a function is traced."""
        scale = self.latents.scale
        return not eqx.is_array(scale) or isinstance(scale, jax.core.Tracer) or bool(jnp.isfinite(scale))

    def with_pretrained(
        self,
        part: Any,
        x: Arrays,
        condition: Arrays | None = None,
        *,
        key: Key[Array, ""],
    ) -> "LatentDiffusion":
        """The same model with a trained autoencoder, whose latents are measured.

        Args:
            part: the trained autoencoder, a model of `config.autoencoder`.
            x: examples of the training data; some hundreds tell the scale to a few per cent.
            condition: their conditions, for a conditional model.
            key: randomness of the posterior samples that are measured.

        Raises:
            TypeError: `part` is no model.
            ValueError: it has another config, or its latents are all equal or not finite.
        """
        check_part(self.config, part)
        check_key(key)
        x, condition = checked_batch(self.config, x, condition)
        space = measured(part, jnp.asarray(x), condition, key=key)
        return eqx.tree_at(lambda model: model.frozen.value, self, space)

    # One example

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        return self._decode_one(self.diffusion._generate_one(condition, key=key), condition)

    def _encode_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, "channels h w"]:
        return self.latents.encode(x, condition, key=key)

    def _decode_one(self, z: Array, condition: Array | None) -> Array:
        return self.latents.decode(z, condition)

    def _interpolate_one(
        self, start: Array, end: Array, weight: Float[Array, ""], condition: Array | None
    ) -> Array:
        start_z, end_z = (self._encode_one(x, condition, key=None) for x in (start, end))
        return self._decode_one((1 - weight) * start_z + weight * end_z, condition)

    # Batches

    def _loss_batch(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        encode_key, loss_key = jax.random.split(key)
        keys = example_keys(encode_key, len(x))
        z = jax.vmap(lambda x, condition, key: self._encode_one(x, condition, key=key))(x, condition, keys)
        output = self.diffusion._loss_batch(jax.lax.stop_gradient(z), condition, key=loss_key, step=step)
        if output.model is None:
            return output
        model = eqx.tree_at(lambda model: model.diffusion, self, output.model)
        return LossOutput(output.total, output.metrics, model)

    def sample(
        self,
        n_samples: int,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        sampler: SamplerConfig | AbstractSampler | str | None = None,
        num_steps: int | None = None,
        spacing: SpacingConfig | str | None = None,
        guidance_scale: float | None = None,
        guidance: GuidanceConfig | None = None,
        guide: "LatentDiffusion | None" = None,
        keep_trajectory: bool = False,
        chunk_size: int | None = None,
    ) -> Sampled:
        """New examples by any sampler, decoded; `sample(n).x` is `generate(n)`.

        Args:
            n_samples: how many.
            key: sample `i` is made with `fold_in(key, i)`.
            condition: one for each sample, or a single one for all; None for an unconditional model.
            sampler: how to go from noise to latents; this and what follows is as in `GaussianDiffusion.sample`.
            num_steps: in how many steps.
            spacing: where they lie.
            guidance_scale: 0 unconditional, 1 conditional, more: stronger.
            guidance: in place of a scale alone: scale, interval and rescaling.
            guide: a weaker model in the same latents to be led away from.
            keep_trajectory: whether to return every stop on the way too, decoded.
            chunk_size: at most so many samples at once.

        Raises:
            ValueError: no autoencoder has been trained, or `GaussianDiffusion.sample` refuses.
        """
        check_has_pretrained(self)
        if guide is not None and guide.config.autoencoder != self.config.autoencoder:
            raise ValueError("`guide` must have the same autoencoder; it has one of another config")
        sampled = self.diffusion.sample(
            n_samples,
            key=key,
            condition=condition,
            sampler=sampler,
            num_steps=num_steps,
            spacing=spacing,
            guidance_scale=guidance_scale,
            guidance=guidance,
            guide=None if guide is None else guide.diffusion,
            keep_trajectory=keep_trajectory,
            chunk_size=chunk_size,
        )
        x = self._decoded_stops(sampled.x[:, None], condition, chunk_size)[:, 0]
        sampled = eqx.tree_at(lambda sampled: sampled.x, sampled, x)
        if sampled.trajectory is None:
            return sampled
        stops = self._decoded_stops(sampled.trajectory, condition, chunk_size)
        return eqx.tree_at(lambda sampled: sampled.trajectory, sampled, stops)

    def denoising(
        self, n_samples: int, *, key: Key[Array, ""], condition: Arrays | None = None, num_stops: int = 10
    ) -> Float[Array, "samples stops ..."]:
        """Decoded stops of the way to `generate(n_samples)`, for pictures; see `GaussianDiffusion.denoising`."""
        check_has_pretrained(self)
        stops = self.diffusion.denoising(n_samples, key=key, condition=condition, num_stops=num_stops)
        return self._decoded_stops(stops, condition, None)

    def _decoded_stops(
        self, stops: Float[Array, "samples stops ..."], condition: Arrays | None, chunk_size: int | None
    ) -> Float[Array, "samples stops ..."]:
        """All latents on the way, decoded, of so many samples at once."""
        num, length = stops.shape[:2]
        condition = conditions_for(self.config, condition, num)
        size = num if chunk_size is None else min(chunk_size, num)
        parts = []
        for start in range(0, num, size):
            some = stops[start : start + size]
            its = None if condition is None else jnp.repeat(condition[start : start + size], length, axis=0)
            parts.append(
                self.decode(some.reshape(-1, *some.shape[2:]), its).reshape(
                    -1, length, *self.config.event_shape
                )
            )
        return jnp.concatenate(parts)
