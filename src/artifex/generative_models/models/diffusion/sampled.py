"""What a diffusion model is asked for once it is trained: samples by any sampler, under any control, and estimates."""

import abc
from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.compilation import compiled
from artifex.generative_models.core.configuration import (
    DiffusionConfig,
    GuidanceConfig,
    SamplerConfig,
    SpacingConfig,
    as_config,
)
from artifex.generative_models.core.models import (
    checked_batch,
    generate_examples,
)
from artifex.generative_models.core.sampling import (
    AbstractControl,
    AbstractSampler,
    Denoiser,
    Estimate,
    Sampled,
    check_serves,
    make_sampler,
)
from artifex.generative_models.models.diffusion.latents import follow
from artifex.generative_models.models.diffusion.requests import (
    Inputs,
    Request,
    check_guidance,
    check_inpainting,
    examples_for,
    sample_one,
    targets_for,
    times_for,
)
from artifex.generative_models.models.diffusion.stepped import AbstractSteppedModel


class AbstractSampledDiffusion(AbstractSteppedModel):
    """A denoiser for each condition, on a path: all that sampling needs."""

    config: eqx.AbstractVar[DiffusionConfig]

    @abc.abstractmethod
    def _denoiser(
        self,
        condition: Array | None,
        guidance: GuidanceConfig,
        guide: "AbstractSampledDiffusion | None" = None,
    ) -> Denoiser:
        """The model with its condition, led away from itself without one, or from another model."""

    def sample(
        self,
        n_samples: int,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        noise: Arrays | None = None,
        target: PyTree[Arrays] = None,
        chunk_size: int | None = None,
        sampler: SamplerConfig | AbstractSampler | str | None = None,
        num_steps: int | None = None,
        spacing: SpacingConfig | str | None = None,
        guidance_scale: float | None = None,
        guidance: GuidanceConfig | None = None,
        guide: "AbstractSampledDiffusion | None" = None,
        control: AbstractControl | None = None,
        keep_trajectory: bool = False,
    ) -> Sampled:
        """New examples by any sampler; what is left out is as in the config, so `sample(n).x` is `generate(n)`.

        Args:
            n_samples: how many.
            key: sample `i` is made with `fold_in(key, i)`.
            condition: one for each sample, or a single one for all; None for an unconditional model.
            noise: where samples begin, of unit variance, shape `(n_samples, *event_shape)`; None: drawn.
            target: what `control` wants of each sample, with a leading axis of length `n_samples`.
            chunk_size: at most so many samples at once.
            sampler: how to go from noise to data: a config, its name ("dpmpp_2m"), or a sampler.
            num_steps: in how many steps.
            spacing: where they lie, as a config or its kind ("karras").
            guidance_scale: 0 unconditional, 1 conditional, more: stronger.
            guidance: in place of a scale alone: scale, interval and rescaling.
            guide: a weaker model on the same path to be led away from, in place of this one without its condition.
            control: what else the samples follow: a measurement, a classifier, a constraint.
            keep_trajectory: whether to return every stop on the way too.

        Raises:
            ValueError: guidance of a model that has not learned without conditions, a number of steps that the
                spacing does not allow, the sampler of consistency models, or noise or targets of another number.
            FloatingPointError: the network gave NaN or infinity, which inside of a trace is not checked.
        """
        request = self._request(
            sampler, num_steps, spacing, guidance_scale, guidance, guide, control, keep_trajectory
        )
        start = None if noise is None else examples_for(self.config, noise, n_samples, "noise")
        inputs = Inputs(noise=start, target=targets_for(control, target, n_samples))
        return _run(request, n_samples, inputs, key=key, condition=condition, chunk_size=chunk_size)

    def inpaint(
        self,
        x: Arrays,
        is_known: Arrays,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        num_resamples: int = 1,
        target: PyTree[Arrays] = None,
        chunk_size: int | None = None,
        **options: Any,
    ) -> Sampled:
        """Examples that agree with what is known of them, exactly, and are new in the rest.

        >>> from artifex.generative_models.core.configuration import FlowMatchingConfig
        >>> from artifex.generative_models.factory import create_model
        >>> model = create_model(FlowMatchingConfig(event_shape=(2,)), key=jax.random.key(0))
        >>> x, is_known = jnp.array([[0.5, 0.0]]), jnp.array([True, False])
        >>> float(model.inpaint(x, is_known, key=jax.random.key(1)).x[0, 0])
        0.5

        Args:
            x: batch of examples; what is not known of them is not looked at.
            is_known: which entries are, for each example or, of shape `event_shape`, for all.
            key: sample `i` is made with `fold_in(key, i)`.
            condition: batch of conditions, for a conditional model.
            num_resamples: how often each step is made; more let the rest fall in with what is known.
            target: what a `control` among the options wants of each sample.
            chunk_size: at most so many samples at once.
            options: as in `sample`: `sampler`, `num_steps`, `spacing`, `guidance_scale` and so on.

        Raises:
            ValueError: shapes do not fit, or the sampler does not go from time to time.
        """
        request = self._request(**options, num_resamples=num_resamples)
        check_inpainting(request.sampler, num_resamples)
        known = examples_for(self.config, x, None, "x")
        marks = examples_for(self.config, jnp.asarray(is_known, bool), len(known), "is_known")
        targets = targets_for(request.control, target, len(known))
        inputs = Inputs(x=known, is_known=marks, target=targets)
        return _run(request, len(known), inputs, key=key, condition=condition, chunk_size=chunk_size)

    def edit(
        self,
        x: Arrays,
        strength: float,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        target: PyTree[Arrays] = None,
        chunk_size: int | None = None,
        **options: Any,
    ) -> Sampled:
        """Examples near `x`: noise is put on them up to a time, from where sampling goes on to data.

        Source: Meng et al. 2022 (SDEdit), arXiv:2108.01073, algorithm 1.

        Args:
            x: batch of examples.
            strength: up to which part of the path, in (0, 1]; the steps are those of the whole path that lie below.
            key: sample `i` is made with `fold_in(key, i)`.
            condition: batch of conditions, for a conditional model.
            target: what a `control` among the options wants of each sample.
            chunk_size: at most so many samples at once.
            options: as in `sample`.

        Raises:
            ValueError: `strength` is outside of (0, 1].
        """
        if not 0 < strength <= 1:
            raise ValueError(
                f"`strength` must lie in (0, 1]: 1 is noise alone, near 0 is `x`; got {strength}"
            )
        request = self._request(**options)
        with jax.ensure_compile_time_eval():  # the number of steps depends on the times' values
            times = np.asarray(request.times)
        start = strength * times[0]
        times = jnp.asarray(np.append(start, times[times < start]), jnp.float32)
        request = eqx.tree_at(lambda r: r.times, request, times)
        examples = examples_for(self.config, x, None, "x")
        inputs = Inputs(x=examples, target=targets_for(request.control, target, len(examples)))
        return _run(request, len(examples), inputs, key=key, condition=condition, chunk_size=chunk_size)

    def invert(
        self,
        x: Arrays,
        condition: Arrays | None = None,
        *,
        num_steps: int | None = None,
        spacing: SpacingConfig | str | None = None,
    ) -> Float[Array, "batch ..."]:
        """The noise from which DDIM's steps lead to `x`: `sample(noise=...)` of it, with another condition, edits `x`.

        Source: Song et al. 2021, arXiv:2010.02502, section 4.3; no guidance.

        Args:
            x: batch of examples.
            condition: batch of conditions, for a conditional model.
            num_steps: in how many steps; more come nearer.
            spacing: where they lie.

        Returns:
            Noise of about unit variance, shape of `x`.
        """
        x, condition = checked_batch(self.config, x, condition)
        return _invert(self, x, condition, self.times(num_steps, spacing))

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

    def denoise(
        self, x: Arrays, t: Arrays, condition: Arrays | None = None, *, guidance_scale: float = 1.0
    ) -> Estimate:
        """Estimates of data and noise at x_t.

        Args:
            x: batch of noisy examples.
            t: their times, shape `(batch,)`, or one for all.
            condition: batch of conditions, for a conditional model.
            guidance_scale: as in `sample`.

        Raises:
            ValueError: a time is outside of [0, 1], or a shape or the guidance does not fit.
        """
        x, condition = checked_batch(self.config, x, condition)
        check_guidance(self.config, GuidanceConfig(scale=float(guidance_scale)), None)
        return _denoise(self, x, times_for(t, len(x)), condition, guidance_scale)

    def _request(
        self,
        sampler: SamplerConfig | AbstractSampler | str | None = None,
        num_steps: int | None = None,
        spacing: SpacingConfig | str | None = None,
        guidance_scale: float | None = None,
        guidance: GuidanceConfig | None = None,
        guide: "AbstractSampledDiffusion | None" = None,
        control: AbstractControl | None = None,
        keep_trajectory: bool = False,
        num_resamples: int = 1,
    ) -> Request:
        """What the options of `sample` ask for."""
        config = self.config
        if guidance is not None and guidance_scale is not None:
            raise ValueError("give `guidance_scale` or `guidance`, whose `scale` it is, but not both")
        if guidance is None:
            scale = config.guidance_scale if guidance_scale is None else float(guidance_scale)
            guidance = GuidanceConfig(scale=scale)
        check_guidance(config, guidance, guide)
        if not isinstance(sampler, AbstractSampler):
            sampler = make_sampler(config.sampler if sampler is None else as_config(SamplerConfig, sampler))
        check_serves(sampler, is_consistency=False)
        times = self.times(num_steps, spacing)
        return Request(self, sampler, times, guidance, guide, control, keep_trajectory, num_resamples)


def _run(
    request: Request,
    num: int,
    inputs: Inputs,
    *,
    key: Key[Array, ""],
    condition: Arrays | None,
    chunk_size: int | None,
) -> Sampled:
    return generate_examples(
        sample_one, request, num, key=key, condition=condition, chunk_size=chunk_size, inputs=(inputs,)
    )


@compiled
def _invert(model: Any, x: Array, condition: Any, times: Array) -> Float[Array, "batch ..."]:
    def one(x: Array, condition: Any) -> Array:
        denoise = model._denoiser(condition, GuidanceConfig())
        return follow(denoise, model.path, x, times[::-1]) / model.path.sigma(times[0])

    return jax.vmap(one)(x.astype(jnp.float32), condition)


@compiled
def _denoise(model: Any, x: Array, t: Array, condition: Any, guidance_scale: float) -> Estimate:
    def one(x: Array, t: Array, condition: Any) -> Estimate:
        denoiser: Callable[..., Estimate] = model._denoiser(condition, GuidanceConfig(scale=guidance_scale))
        return denoiser(x, t)

    return jax.vmap(one)(x, t, condition)
