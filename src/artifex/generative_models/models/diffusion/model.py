"""The Gaussian diffusion model, of which DDPM, score SDEs, EDM and flow matching are configs.

    training   E[ w(t) |network(c_in x_t, t) - y(x_0, noise, t)|^2 ],   x_t = alpha x_0 + sigma noise
    sampling   from x at the path's end through a sampler's times, with the network as the denoiser

with the path (alpha, sigma), the kind of prediction y, the weight w and the distribution of t of the config.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import (
    DDIMConfig,
    DDPMConfig,
    DiffusionConfig,
    EDMConfig,
    FlowMatchingConfig,
    GuidanceConfig,
    SamplerConfig,
    ScoreSDEConfig,
    SpacingConfig,
    as_config,
)
from artifex.generative_models.core.models import AbstractDensityModel, AbstractLatentModel, generate_examples
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import example_keys
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.core.sampling import (
    AbstractSampler,
    Denoiser,
    Estimate,
    Sampled,
    check_serves,
    guided,
    make_sampler,
    make_times,
)
from artifex.generative_models.models.backbones.denoisers import AbstractDenoiserNetwork, make_denoiser
from artifex.generative_models.models.diffusion.conditions import flagged_condition
from artifex.generative_models.models.diffusion.couplings import couple_batch
from artifex.generative_models.models.diffusion.levels import network_level
from artifex.generative_models.models.diffusion.likelihood import log_prob_by_ode
from artifex.generative_models.models.diffusion.pairs import data_and_noise
from artifex.generative_models.models.diffusion.paths import AbstractPath, make_path
from artifex.generative_models.models.diffusion.predictions import AbstractPrediction, make_prediction
from artifex.generative_models.models.diffusion.times import draw_times_batch
from artifex.generative_models.models.diffusion.weightings import weight


@register_model(DDPMConfig)
@register_model(DDIMConfig)
@register_model(ScoreSDEConfig)
@register_model(EDMConfig)
@register_model(FlowMatchingConfig)
class GaussianDiffusion(AbstractDensityModel, AbstractLatentModel):
    """A denoiser on a Gaussian path.

    Its latents are the noise at the end of the path to which the probability-flow ODE leads, of unit variance; `encode`
    and `decode` follow it by DDIM's steps, so `reconstruct` is as good as the steps are fine. `log_prob` is the
    density of what this ODE makes of noise, up to the tolerance of its solver; of large examples an unbiased estimate.

    >>> from artifex.generative_models.factory import create_model
    >>> model = create_model(FlowMatchingConfig(event_shape=(2,)), key=jax.random.key(0))
    >>> model.generate(4, key=jax.random.key(1)).shape
    (4, 2)
    """

    log_prob_kind: ClassVar[str] = "estimate"
    costly_metrics: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"log_prob": "solves an ODE for each example"}
    )

    config: DiffusionConfig = eqx.field(static=True)
    network: AbstractDenoiserNetwork
    path: AbstractPath
    prediction: AbstractPrediction

    def __init__(self, config: DiffusionConfig, *, key: Key[Array, ""]):
        """Random weights.

        Args:
            config: the parts.
            key: randomness of the weights.
        """
        self.config = config
        # A model that learns with and without conditions is told by one more number which it is.
        withheld = 1 if config.condition_dropout > 0 else 0
        self.network = make_denoiser(
            config.network, config.event_shape, condition_size=config.condition_size + withheld, key=key
        )
        self.path = make_path(config.path)
        self.prediction = make_prediction(config.prediction)

    # One example

    def _output(self, x: Array, t: Array, condition: Array | None) -> Float[Array, "..."]:
        """What the network says at x_t, given a vector of `_vector`."""
        scale = self.prediction.input_scale(self.path, t)
        level = network_level(self.config.level)(self.path, t)
        return self.network(scale * x, level, condition)

    def _vector(self, condition: Array | None, is_withheld: Array | bool = False) -> Array | None:
        has_flag = self.config.condition_dropout > 0
        return flagged_condition(self.config, condition, is_withheld if has_flag else None)

    def _estimate(self, x: Array, t: Array, condition: Array | None) -> Estimate:
        return self.prediction.estimate(self.path, self._output(x, t, condition), x, t)

    def _denoiser(
        self, condition: Array | None, guidance: GuidanceConfig, guide: "GaussianDiffusion | None" = None
    ) -> Denoiser:
        """The network with its condition, led away from itself without one, or from another model."""
        vector = self._vector(condition)

        def ours(x: Array, t: Array) -> Estimate:
            return self._estimate(x, t, vector)

        if guidance.scale == 1:
            return ours
        if guide is not None:
            other = guide._vector(condition)
            return guided(guidance, self.path, ours, lambda x, t: guide._estimate(x, t, other))
        without = self._vector(condition, is_withheld=True)
        return guided(guidance, self.path, ours, lambda x, t: self._estimate(x, t, without))

    def _loss_one(
        self, x: Array, noise: Array, condition: Array | None, t: Array, *, key: Key[Array, ""]
    ) -> dict[str, Array]:
        noisy = self.path.alpha(t) * x + self.path.sigma(t) * noise
        is_withheld = jax.random.bernoulli(key, self.config.condition_dropout)
        output = self._output(noisy, t, self._vector(condition, is_withheld))
        target = self.prediction.target(self.path, x, noise, t)
        error = jnp.mean((output - target) ** 2)
        return {"loss": weight(self.config.weighting, self.path, self.prediction, t) * error, "mse": error}

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        sampler = make_sampler(self.config.sampler)
        request = _Request(self, sampler, self.times(), self._guidance(None), None, keep_trajectory=False)
        return _sample_one(request, condition, key=key).x

    def _log_prob_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, ""]:
        denoise = self._denoiser(condition, GuidanceConfig())
        return log_prob_by_ode(self.config.likelihood_ode, denoise, self.path, x.astype(jnp.float32), key=key)

    def _encode_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, "..."]:
        times = self.times()[::-1]
        return self._follow(x, times, condition) / self.path.sigma(times[-1])

    def _decode_one(self, z: Array, condition: Array | None) -> Float[Array, "..."]:
        times = self.times()
        return self._follow(self.path.sigma(times[0]) * z, times, condition)

    def _interpolate_one(
        self, start: Array, end: Array, weight: Float[Array, ""], condition: Array | None
    ) -> Float[Array, "..."]:
        z_start, z_end = (self._encode_one(x, condition, key=None) for x in (start, end))
        return self._decode_one(spherical_interpolation(z_start, z_end, weight), condition)

    def _follow(self, x: Array, times: Array, condition: Array | None) -> Float[Array, "..."]:
        """The probability-flow ODE, without guidance, up or down the path."""

        def step(x: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
            t, s = pair
            estimate = self._estimate(x, t, self._vector(condition))
            return self.path.alpha(s) * estimate.data + self.path.sigma(s) * estimate.noise, None

        return jax.lax.scan(step, x, (times[:-1], times[1:]))[0]

    # Batches

    def _loss_batch(
        self, x: Array | dict[str, Array], condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        x, noise = data_and_noise(x)
        times_key, examples_key = jax.random.split(key)
        t = draw_times_batch(self.config.times, self.path, len(x), key=times_key)
        x = x.astype(jnp.float32)
        keys = example_keys(examples_key, len(x) + 1)
        noise_keys, dropout_keys = jax.vmap(jax.random.split, out_axes=1)(keys[:-1])
        if noise is None:  # pairs that are given stay as they are
            noise = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(noise_keys)
            noise = couple_batch(self.config.coupling, x, noise, condition, key=keys[-1])
        metrics = jax.vmap(lambda x, noise, c, t, key: self._loss_one(x, noise, c, t, key=key))(
            x, noise, condition, t, dropout_keys
        )
        metrics = jax.tree.map(jnp.mean, metrics)
        return LossOutput(total=metrics["loss"], metrics=metrics)

    def times(
        self, num_steps: int | None = None, spacing: SpacingConfig | str | None = None
    ) -> Float[Array, " stops"]:
        """Times at which sampling stops, from noise to 0; by default those of the config."""
        config = self.config
        return make_times(
            config.spacing if spacing is None else as_config(SpacingConfig, spacing),
            self.path,
            config.num_sampling_steps if num_steps is None else num_steps,
        )

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
        guide: "GaussianDiffusion | None" = None,
        keep_trajectory: bool = False,
        chunk_size: int | None = None,
    ) -> Sampled:
        """New examples by any sampler; what is left out is as in the config, so `sample(n).x` is `generate(n)`.

        Args:
            n_samples: how many.
            key: sample `i` is made with `fold_in(key, i)`.
            condition: one for each sample, or a single one for all; None for an unconditional model.
            sampler: how to go from noise to data: a config, its name ("dpmpp_2m"), or a sampler.
            num_steps: in how many steps.
            spacing: where they lie, as a config or its kind ("karras").
            guidance_scale: 0 unconditional, 1 conditional, more: stronger.
            guidance: in place of a scale alone: scale, interval and rescaling.
            guide: a weaker model on the same path to be led away from, in place of this one without its condition.
            keep_trajectory: whether to return every stop on the way too.
            chunk_size: at most so many samples at once.

        Raises:
            ValueError: guidance of a model that has not learned without conditions, a number of steps that the
                spacing does not allow, or the sampler of consistency models.
        """
        config = self.config
        if guidance is not None and guidance_scale is not None:
            raise ValueError("give `guidance_scale` or `guidance`, whose `scale` it is, but not both")
        chosen = self._guidance(guidance_scale) if guidance is None else guidance
        self._check_guidance(chosen, guide)
        if not isinstance(sampler, AbstractSampler):
            sampler = make_sampler(config.sampler if sampler is None else as_config(SamplerConfig, sampler))
        check_serves(sampler, is_consistency=False)
        times = self.times(num_steps, spacing)
        request = _Request(self, sampler, times, chosen, guide, keep_trajectory)
        return generate_examples(
            _sample_one, request, n_samples, key=key, condition=condition, chunk_size=chunk_size
        )

    def denoising(
        self, n_samples: int, *, key: Key[Array, ""], condition: Arrays | None = None, num_stops: int = 10
    ) -> Float[Array, "samples stops ..."]:
        """Stops of the way to `generate(n_samples)`, for pictures: x_t / sqrt(alpha^2 + sigma^2), as large as data.

        Args:
            n_samples: how many.
            key: that of `generate`.
            condition: as in `generate`.
            num_stops: at most so many stops, evenly spread over the steps, the first and the last among them.
        """
        sampled = self.sample(n_samples, key=key, condition=condition, keep_trajectory=True)
        times = self.times()
        chosen = np.unique(np.linspace(0, len(times) - 1, num_stops).round().astype(int))
        radius = jnp.hypot(self.path.alpha(times), self.path.sigma(times))[chosen]
        return jnp.asarray(sampled.trajectory)[:, chosen] / radius.reshape(
            1, -1, *(1,) * len(self.config.event_shape)
        )

    def _guidance(self, scale: float | None) -> GuidanceConfig:
        return GuidanceConfig(scale=self.config.guidance_scale if scale is None else float(scale))

    def _check_guidance(self, guidance: GuidanceConfig, guide: "GaussianDiffusion | None") -> None:
        if guide is None and guidance.scale != 1 and self.config.condition_dropout == 0:
            raise ValueError(
                f"`guidance_scale` {guidance.scale:g} needs a conditional model that also learned without conditions: "
                "train it with `condition_dropout` above 0, or give a weaker model as `guide`"
            )
        for name in ("event_shape", "num_classes", "condition_shape", "path"):
            if guide is not None and getattr(guide.config, name) != getattr(self.config, name):
                raise ValueError(
                    f"`guide` must have the model's `{name}`, {getattr(self.config, name)}; got "
                    f"{getattr(guide.config, name)}"
                )

    def denoise(
        self, x: Arrays, t: Arrays, condition: Arrays | None = None, *, guidance_scale: float = 1.0
    ) -> Estimate:
        """Estimates of data and noise at x_t.

        Args:
            x: batch of noisy examples.
            t: their times, shape `(batch,)`, or one for all.
            condition: batch of conditions, for a conditional model.
            guidance_scale: as in `sample`.
        """
        x = jnp.asarray(x)
        t = jnp.broadcast_to(jnp.asarray(t, jnp.float32), (len(x),))
        return _denoise(self, x, t, condition, guidance_scale)


def spherical_interpolation(
    start: Float[Array, "..."], end: Float[Array, "..."], weight: Float[Array, ""]
) -> Float[Array, "..."]:
    """The point at `weight` in [0, 1] on the great circle through both, so that noise keeps its length.

    Source: Shoemake 1985, "Animating rotation with quaternion curves".
    """
    cosine = jnp.sum(start * end) / jnp.maximum(jnp.linalg.norm(start) * jnp.linalg.norm(end), 1e-12)
    angle = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
    is_straight = jnp.sin(angle) < 1e-4
    sine = jnp.where(is_straight, 1.0, jnp.sin(angle))
    near = jnp.where(is_straight, 1.0 - weight, jnp.sin((1.0 - weight) * angle) / sine)
    far = jnp.where(is_straight, weight, jnp.sin(weight * angle) / sine)
    return near * start + far * end


class _Request(eqx.Module):
    """A model, and how it is to be sampled: one value for the compiled sampling loop."""

    model: GaussianDiffusion
    sampler: AbstractSampler
    times: Float[Array, " stops"]
    guidance: GuidanceConfig = eqx.field(static=True)
    guide: GaussianDiffusion | None
    keep_trajectory: bool = eqx.field(static=True)

    @property
    def config(self) -> DiffusionConfig:
        return self.model.config


def _sample_one(request: _Request, condition: Array | None, *, key: Key[Array, ""]) -> Sampled:
    noise_key, steps_key = jax.random.split(key)
    model, times = request.model, request.times
    x = model.path.sigma(times[0]) * jax.random.normal(noise_key, model.config.event_shape)
    return request.sampler.sample(
        model._denoiser(condition, request.guidance, request.guide),
        model.path,
        x,
        times,
        key=steps_key,
        keep_trajectory=request.keep_trajectory,
    )


@eqx.filter_jit
def _denoise(model: Any, x: Array, t: Array, condition: Any, guidance_scale: float) -> Estimate:
    def one(x: Array, t: Array, condition: Any) -> Estimate:
        denoiser: Callable[..., Estimate] = model._denoiser(condition, GuidanceConfig(scale=guidance_scale))
        return denoiser(x, t)

    return jax.vmap(one)(x, t, condition)
