"""The consistency model: from any point of a trajectory to the data at its end, in one evaluation.

    training   f(x_t, t) the same along a trajectory, with f(x, 0) = x by construction
    sampling   f at the path's end; further steps add noise and jump again

with the path, the kind of prediction, the distribution of t and the objective of the config.
"""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import (
    ConsistencyConfig,
    GuidanceConfig,
    SamplerConfig,
    SpacingConfig,
    as_config,
)
from artifex.generative_models.core.models import generate_examples, map_examples
from artifex.generative_models.core.pretraining import check_part
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import example_keys
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.core.sampling import (
    AbstractSampler,
    Denoiser,
    Estimate,
    Sampled,
    check_serves,
    make_sampler,
)
from artifex.generative_models.core.trainable import Buffer
from artifex.generative_models.models.backbones.conditions import flagged_condition
from artifex.generative_models.models.backbones.denoisers import AbstractDenoiserNetwork, make_denoiser
from artifex.generative_models.models.diffusion.consistency_objectives import make_objective
from artifex.generative_models.models.diffusion.levels import network_level
from artifex.generative_models.models.diffusion.model import GaussianDiffusion
from artifex.generative_models.models.diffusion.paths import AbstractPath, make_path
from artifex.generative_models.models.diffusion.predictions import AbstractPrediction, make_prediction
from artifex.generative_models.models.diffusion.stepped import AbstractSteppedModel
from artifex.generative_models.models.diffusion.times import draw_times_batch


class _Teacher(eqx.Module):
    """A model that is distilled, and whether it has been trained."""

    model: GaussianDiffusion
    is_trained: Bool[Array, ""]


@register_model(ConsistencyConfig)
class ConsistencyModel(AbstractSteppedModel):
    """A consistency function on a Gaussian path, trained from data or from a teacher's ODE.

    >>> from artifex.generative_models.factory import create_model
    >>> model = create_model(ConsistencyConfig(event_shape=(2,)), key=jax.random.key(0))
    >>> sampled = model.sample(4, key=jax.random.key(1), num_steps=2)
    >>> sampled.x.shape, int(sampled.num_evaluations[0])
    ((4, 2), 2)
    """

    config: ConsistencyConfig = eqx.field(static=True)
    network: AbstractDenoiserNetwork
    path: AbstractPath
    prediction: AbstractPrediction
    teacher: Buffer | None

    def __init__(self, config: ConsistencyConfig, *, key: Key[Array, ""]):
        """Random weights, of the teacher too: `with_pretrained` puts in a trained one.

        Args:
            config: the parts.
            key: randomness of the weights.
        """
        network_key, teacher_key = jax.random.split(key)
        self.config = config
        self.network = make_denoiser(
            config.network,
            config.event_shape,
            condition_size=config.condition_size + self._has_flag,
            key=network_key,
        )
        self.path = make_path(config.path)
        self.prediction = make_prediction(config.prediction)
        self.teacher = None
        if config.teacher is not None:
            self.teacher = Buffer(
                _Teacher(GaussianDiffusion(config.teacher, key=teacher_key), jnp.asarray(False))
            )

    @property
    def _has_flag(self) -> bool:
        """Whether the network is told that its condition is not withheld, as a teacher's is that also learned without.

        It always has its condition; but so it can begin with the teacher's weights.
        """
        return self.config.teacher is not None and self.config.teacher.condition_dropout > 0

    @property
    def has_pretrained(self) -> bool:
        """Whether the teacher is a trained one, or there is none; taken for granted while a function is traced."""
        if self.teacher is None:
            return True
        is_trained = self.teacher.value.is_trained
        return not eqx.is_array(is_trained) or isinstance(is_trained, jax.core.Tracer) or bool(is_trained)

    def with_pretrained(
        self,
        part: GaussianDiffusion,
        x: Arrays,
        condition: Arrays | None = None,
        *,
        key: Key[Array, ""],
    ) -> "ConsistencyModel":
        """The same model with a trained teacher, whose weights its network starts from where both mean the same.

        Args:
            part: a trained model of the config's `teacher`.
            x: not needed.
            condition: not needed.
            key: not needed.
        """
        check_part(self.config, part)
        teacher = Buffer(_Teacher(part, jnp.asarray(True)))
        model = eqx.tree_at(lambda model: model.teacher, self, teacher)
        ours, theirs = (jax.tree.map(jnp.shape, network) for network in (self.network, part.network))
        # A teacher that also sees its own estimate, or learns variances, has more channels.
        if not self.config.starts_from_teacher or ours != theirs:
            return model
        # Copies, as a training step may reuse the memory of one of the two.
        network = jax.tree.map(lambda leaf: leaf.copy() if eqx.is_array(leaf) else leaf, part.network)
        return eqx.tree_at(lambda model: model.network, model, network)

    # One example

    def _vector(self, condition: Array | None) -> Float[Array, " size"] | None:
        return flagged_condition(self.config, condition, False if self._has_flag else None)

    def _output(self, x: Array, t: Array, vector: Array | None) -> Float[Array, "..."]:
        level = network_level(self.config.level)(self.path, t)
        return self.network(self.prediction.input_scale(self.path, t) * x, level, vector)

    def _denoiser(self, condition: Array | None) -> Denoiser:
        """The consistency function, in the form of a denoiser: its `data` are the end of the trajectory."""
        vector = self._vector(condition)
        return lambda x, t: self.prediction.estimate(self.path, self._output(x, t, vector), x, t)

    def _direction(self, x: Array, noise: Array, condition: Array | None) -> Denoiser:
        """Which way the trajectory goes: the teacher's word, or the example and its noise themselves."""
        if self.teacher is None:
            return lambda noisy, t: Estimate(x, noise)
        teacher: GaussianDiffusion = self.teacher.value.model
        guidance = GuidanceConfig(scale=teacher.config.guidance_scale)
        return on_path(teacher._denoiser(condition, guidance), teacher.path, self.path)

    def _loss_one(
        self, x: Array, condition: Array | None, t: Array, step: Array, *, key: Key[Array, ""]
    ) -> dict[str, Array]:
        noise = jax.random.normal(key, x.shape, x.dtype)
        vector = self._vector(condition)
        loss, data = make_objective(self.config.objective, has_teacher=self.teacher is not None).loss(
            lambda x, t: self._output(x, t, vector),
            self._direction(x, noise, condition),
            self.path,
            self.prediction,
            self.path.alpha(t) * x + self.path.sigma(t) * noise,
            t,
            step=step,
        )
        return {"loss": loss, "mse": jnp.mean((data - x) ** 2)}

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Float[Array, "..."]:
        sampler = make_sampler(self.config.sampler)
        request = _Request(self, sampler, self.times(), keep_trajectory=False)
        return _sample_one(request, condition, key=key).x

    # Batches

    def _loss_batch(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        times_key, examples_key = jax.random.split(key)
        t = draw_times_batch(self.config.times, self.path, len(x), key=times_key)
        x = x.astype(jnp.float32)
        keys = example_keys(examples_key, len(x))
        metrics = jax.vmap(lambda x, c, t, key: self._loss_one(x, c, t, step, key=key))(x, condition, t, keys)
        metrics = jax.tree.map(jnp.mean, metrics)
        return LossOutput(total=metrics["loss"], metrics=metrics)

    def sample(
        self,
        n_samples: int,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        sampler: SamplerConfig | AbstractSampler | str | None = None,
        num_steps: int | None = None,
        spacing: SpacingConfig | str | None = None,
        times: Sequence[float] | Float[Array, " stops"] | None = None,
        keep_trajectory: bool = False,
        chunk_size: int | None = None,
    ) -> Sampled:
        """New examples; what is left out is as in the config, so `sample(n).x` is `generate(n)`.

        Args:
            n_samples: how many.
            key: sample `i` is made with `fold_in(key, i)`.
            condition: one for each sample, or a single one for all; None for an unconditional model.
            sampler: the consistency sampler.
            num_steps: in how many jumps.
            spacing: where they start.
            times: in place of both: the times themselves, falling from at most 1 to 0.
            keep_trajectory: whether to return every stop on the way too.
            chunk_size: at most so many samples at once.

        Raises:
            ValueError: another sampler, or times that do not fall to 0.
        """
        if not isinstance(sampler, AbstractSampler):
            sampler = make_sampler(
                self.config.sampler if sampler is None else as_config(SamplerConfig, sampler)
            )
        check_serves(sampler, is_consistency=True)
        stops = self._stops(num_steps, spacing, times)
        request = _Request(self, sampler, stops, keep_trajectory)
        return generate_examples(
            _sample_one, request, n_samples, key=key, condition=condition, chunk_size=chunk_size
        )

    def jump(self, x: Arrays, t: float, condition: Arrays | None = None) -> Float[Array, "batch ..."]:
        """The consistency function: data at the ends of the trajectories through `x`.

        Args:
            x: batch of noisy examples.
            t: the time of all of them, in [0, 1]; at 0 they come back as they are.
            condition: batch of conditions, for a conditional model.
        """
        return map_examples(_jump_one, self, x, condition, None, t=float(t))


def on_path(denoise: Denoiser, theirs: AbstractPath, ours: AbstractPath) -> Denoiser:
    """A denoiser of one path on another: at the same signal-to-noise ratio both see the same but for a factor.

    Args:
        denoise: the denoiser.
        theirs: its path.
        ours: the path on which it shall work.
    """
    if theirs == ours:
        return denoise

    def moved(x: Array, t: Array) -> Estimate:
        there = theirs.time(ours.log_snr(t))
        factor = jnp.hypot(theirs.alpha(there), theirs.sigma(there)) / jnp.hypot(ours.alpha(t), ours.sigma(t))
        return denoise(factor * x, there)

    return moved


class _Request(eqx.Module):
    """A model, and how it is to be sampled: one value for the compiled sampling loop."""

    model: ConsistencyModel
    sampler: AbstractSampler
    times: Float[Array, " stops"]
    keep_trajectory: bool = eqx.field(static=True)

    @property
    def config(self) -> ConsistencyConfig:
        return self.model.config


def _sample_one(request: _Request, condition: Array | None, *, key: Key[Array, ""]) -> Sampled:
    noise_key, steps_key = jax.random.split(key)
    model, times = request.model, request.times
    x = model.path.sigma(times[0]) * jax.random.normal(noise_key, model.config.event_shape)
    return request.sampler.sample(
        model._denoiser(condition),
        model.path,
        x,
        times,
        key=steps_key,
        keep_trajectory=request.keep_trajectory,
    )


def _jump_one(
    model: ConsistencyModel, x: Array, condition: Array | None, *, key: None, t: float
) -> Float[Array, "..."]:
    return model._denoiser(condition)(x, jnp.float32(t)).data
