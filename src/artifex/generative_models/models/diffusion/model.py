"""The Gaussian diffusion model, of which DDPM, score SDEs, EDM and flow matching are configs.

    training   E[ w(t) |network(c_in x_t, t) - y(x_0, noise, t)|^2 ],   x_t = alpha x_0 + sigma noise
    sampling   from x at the path's end through a sampler's times, with the network as the denoiser

with the path (alpha, sigma), the kind of prediction y, the weight w and the distribution of t of the config.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import (
    DDIMConfig,
    DDPMConfig,
    DiffusionConfig,
    EDMConfig,
    FlowMatchingConfig,
    GuidanceConfig,
    LearnedRangeVarianceConfig,
    ScoreSDEConfig,
)
from artifex.generative_models.core.models import AbstractDensityModel, AbstractLatentModel, map_examples
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import example_keys
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.core.sampling import Denoiser, Estimate, guided, make_sampler
from artifex.generative_models.models.backbones.conditions import flagged_condition
from artifex.generative_models.models.backbones.denoisers import AbstractDenoiserNetwork, make_denoiser
from artifex.generative_models.models.backbones.interpolation import spherical_interpolation
from artifex.generative_models.models.diffusion.bound import (
    BoundTerms,
    bound_steps,
    bound_term,
    variational_bound_one,
)
from artifex.generative_models.models.diffusion.couplings import couple_batch
from artifex.generative_models.models.diffusion.latents import COSTLY_RECONSTRUCTION, follow
from artifex.generative_models.models.diffusion.levels import network_level
from artifex.generative_models.models.diffusion.likelihood import log_prob_by_ode
from artifex.generative_models.models.diffusion.pairs import data_and_noise
from artifex.generative_models.models.diffusion.paths import AbstractPath, make_path
from artifex.generative_models.models.diffusion.predictions import AbstractPrediction, make_prediction
from artifex.generative_models.models.diffusion.requests import Request, sample_one
from artifex.generative_models.models.diffusion.sampled import AbstractSampledDiffusion
from artifex.generative_models.models.diffusion.times import draw_times_batch
from artifex.generative_models.models.diffusion.variances import num_outputs, split_output
from artifex.generative_models.models.diffusion.weightings import weight

_LARGEST_SEEN = 3.0  # root mean square of a data estimate at the network's input


@register_model(DDPMConfig)
@register_model(DDIMConfig)
@register_model(ScoreSDEConfig)
@register_model(EDMConfig)
@register_model(FlowMatchingConfig)
class GaussianDiffusion(AbstractDensityModel, AbstractLatentModel, AbstractSampledDiffusion):
    """A denoiser on a Gaussian path.

    With self-conditioning every evaluation is two passes of the network: one that sees zeros in place of an estimate of
    the data, and one that sees the first's, as in training, where half of the batches stop at the first. The paper's
    samplers hand the estimate of the step before to the next instead, which saves the first pass; but then an estimate
    depends on more than x_t and t, so that there is no ODE to solve, to invert, or to compute likelihoods by.

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
        {
            "log_prob": "solves an ODE for each example",
            "reconstruction_mse": COSTLY_RECONSTRUCTION,
        }
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
        channels, *sides = config.event_shape
        inputs, outputs = (
            (1 + config.has_self_conditioning) * channels,
            num_outputs(config.variance) * channels,
        )
        # A registered network need not know of `out_channels` as long as nobody asks for other ones.
        more = {} if outputs == inputs else {"out_channels": outputs}
        size = config.condition_size + withheld
        self.network = make_denoiser(config.network, (inputs, *sides), condition_size=size, key=key, **more)
        self.path = make_path(config.path)
        self.prediction = make_prediction(config.prediction)

    # One example

    def _pass(
        self, x: Array, t: Array, condition: Array | None, seen: Array | None
    ) -> tuple[Array, Array | None]:
        """The network's prediction and variance at x_t, with the data estimate that it sees of itself."""
        scaled = self.prediction.input_scale(self.path, t) * x
        if seen is not None:
            scaled = jnp.concatenate([scaled, seen])
        level = network_level(self.config.level)(self.path, t)
        return split_output(self.config.variance, self.network(scaled, level, condition))

    def _output(
        self, x: Array, t: Array, condition: Array | None, has_second: Array | None = None
    ) -> tuple[Array, Array | None]:
        """The prediction and variance at x_t, given a vector of `_vector`, by a second pass or as training says."""
        if not self.config.has_self_conditioning:
            return self._pass(x, t, condition, None)

        def first() -> Array:
            output, _ = self._pass(x, t, condition, jnp.zeros_like(x))
            data = self.prediction.estimate(self.path, output, x, t).data
            # Near pure noise, where some predictions leave little but round-off of the data, it may be of any size.
            return data * jnp.minimum(1.0, _LARGEST_SEEN / jnp.sqrt(jnp.mean(data**2) + 1e-6))

        if has_second is None:
            return self._pass(x, t, condition, first())
        # Training: no gradient goes through the first pass.
        seen = jax.lax.cond(has_second, first, lambda: jnp.zeros_like(x))
        return self._pass(x, t, condition, jax.lax.stop_gradient(seen))

    def _vector(self, condition: Array | None, is_withheld: Array | bool = False) -> Array | None:
        has_flag = self.config.condition_dropout > 0
        return flagged_condition(self.config, condition, is_withheld if has_flag else None)

    def _estimate(self, x: Array, t: Array, condition: Array | None) -> Estimate:
        output, variance = self._output(x, t, condition)
        return self.prediction.estimate(self.path, output, x, t)._replace(variance=variance)

    def _denoiser(
        self,
        condition: Array | None,
        guidance: GuidanceConfig,
        guide: "AbstractSampledDiffusion | None" = None,
    ) -> Denoiser:
        vector = self._vector(condition)

        def ours(x: Array, t: Array) -> Estimate:
            return self._estimate(x, t, vector)

        if guidance.scale == 1:
            return ours
        if guide is not None:
            return guided(guidance, self.path, ours, guide._denoiser(condition, GuidanceConfig()))
        without = self._vector(condition, is_withheld=True)
        return guided(guidance, self.path, ours, lambda x, t: self._estimate(x, t, without))

    def _loss_one(
        self,
        x: Array,
        noise: Array,
        condition: Array | None,
        t: Array,
        has_second: Array,
        *,
        key: Key[Array, ""],
    ) -> dict[str, Array]:
        noisy = self.path.alpha(t) * x + self.path.sigma(t) * noise
        is_withheld = jax.random.bernoulli(key, self.config.condition_dropout)
        output, variance = self._output(noisy, t, self._vector(condition, is_withheld), has_second)
        target = self.prediction.target(self.path, x, noise, t)
        error = jnp.mean((output - target) ** 2)
        loss = weight(self.config.weighting, self.path, self.prediction, t) * error
        if not isinstance(self.config.variance, LearnedRangeVarianceConfig):
            return {"loss": loss, "mse": error}
        # The bound teaches the variance alone (equation 16): the mean learns from the simple loss.
        fixed = self.prediction.estimate(self.path, jax.lax.stop_gradient(output), noisy, t)
        bits = bound_term(self.config, self.path, x, fixed._replace(variance=variance), t)
        return {"loss": loss + self.config.variance.bound_weight * bits, "mse": error, "bound": bits}

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        sampler = make_sampler(self.config.sampler)
        guidance = GuidanceConfig(scale=self.config.guidance_scale)
        request = Request(self, sampler, self.times(), guidance)
        return sample_one(request, condition, key=key).x

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
        return follow(self._denoiser(condition, GuidanceConfig()), self.path, x, times)

    # Batches

    def _loss_batch(
        self, x: Array | dict[str, Array], condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        x, noise = data_and_noise(x)
        times_key, examples_key, passes_key = jax.random.split(key, 3)
        t = draw_times_batch(self.config.times, self.path, len(x), key=times_key)
        x = x.astype(jnp.float32)
        keys = example_keys(examples_key, len(x) + 1)
        noise_keys, dropout_keys = jax.vmap(jax.random.split, out_axes=1)(keys[:-1])
        if noise is None:  # pairs that are given stay as they are
            noise = jax.vmap(lambda key: jax.random.normal(key, x.shape[1:]))(noise_keys)
            noise = couple_batch(self.config.coupling, x, noise, condition, key=keys[-1])
        # The same for the whole batch, so under `vmap` it stays a choice, and half of the steps save a pass.
        has_second = jax.random.bernoulli(passes_key)
        metrics = jax.vmap(lambda x, noise, c, t, key: self._loss_one(x, noise, c, t, has_second, key=key))(
            x, noise, condition, t, dropout_keys
        )
        metrics = jax.tree.map(jnp.mean, metrics)
        return LossOutput(total=metrics["loss"], metrics=metrics)

    def variational_bound(
        self,
        x: Arrays,
        condition: Arrays | None = None,
        *,
        key: Key[Array, ""],
        num_times: int | None = None,
    ) -> BoundTerms:
        """The terms of the variational bound on -log p(x) of each example, in nats.

        The bound is that of ancestral sampling with all levels of a DDPM's table, or, on another path, with the many
        steps of `config.bound`; its expectation over the noise, of which there is one draw at each step. `x` is on the
        grid of `config.bound`.

        Args:
            x: batch of examples.
            condition: batch of conditions, for a conditional model.
            key: randomness of the noise.
            num_times: so many steps, drawn at random, stand for all; None: all of them.

        Raises:
            ValueError: `num_times` is less than 1.
        """
        if num_times is not None and num_times < 1:
            raise ValueError(f"`num_times` must be at least 1, or None for all steps; got {num_times}")
        return map_examples(_bound_one, self, x, condition, key, num_times=num_times)

    def elbo(
        self, x: Arrays, condition: Arrays | None = None, *, key: Key[Array, ""]
    ) -> Float[Array, " batch"]:
        """Lower bound of log p(x) of each example, in nats, from `config.bound.num_times` random steps."""
        terms = self.variational_bound(x, condition, key=key, num_times=self.config.bound.num_times)
        return -terms.total

    @property
    def data_levels(self) -> tuple[int, float, float]:
        """Number, lowest and highest of the levels of data that have a bound."""
        bound = self.config.bound
        return bound.num_levels, bound.low, bound.high


def _bound_one(
    model: GaussianDiffusion, x: Array, condition: Array | None, *, key: Key[Array, ""], num_times: int | None
) -> BoundTerms:
    config = model.config
    denoise = model._denoiser(condition, GuidanceConfig())
    return variational_bound_one(
        config.bound,
        denoise,
        model.path,
        x.astype(jnp.float32),
        bound_steps(config, model.path),
        key=key,
        num_times=num_times,
    )
