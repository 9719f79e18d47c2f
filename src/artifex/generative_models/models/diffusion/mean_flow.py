"""The mean flow: the average velocity between two times, which leads over the whole interval in one step.

    u(x_t, r, t) = 1 / (t - r) integral from r to t of v(x_s, s) ds,    x_t = (1 - t) x_0 + t noise

along a trajectory of the velocity v. It is what satisfies the identity

    u = v - (t - r) du/dt,    du/dt = v du/dx + du/dt (a Jacobian-vector product),

so the network is trained to equal the right side of itself, with v = noise - x_0. Sampling: x_r = x_t - (t - r) u.

Source: Geng et al. 2025, arXiv:2505.13447, equations 6, 10, 12 and 22, and their appendix B for guidance with mixing.
"""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import MeanFlowConfig, SpacingConfig
from artifex.generative_models.core.models import generate_examples
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import example_keys
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.core.sampling import Sampled
from artifex.generative_models.models.backbones.conditions import flagged_condition
from artifex.generative_models.models.backbones.denoisers import AbstractDenoiserNetwork, make_denoiser
from artifex.generative_models.models.backbones.noise_levels import sinusoidal_features
from artifex.generative_models.models.diffusion.levels import network_level
from artifex.generative_models.models.diffusion.paths import LinearPath
from artifex.generative_models.models.diffusion.stepped import AbstractSteppedModel
from artifex.generative_models.models.diffusion.times import draw_times_batch

_NUM_FEATURES = 32  # of the interval's length

Example = Float[Array, "..."]
Scalar = Float[Array, ""]


@register_model(MeanFlowConfig)
class MeanFlow(AbstractSteppedModel):
    """A network of the average velocity; the length of the interval is a part of its condition.

    >>> from artifex.generative_models.factory import create_model
    >>> model = create_model(MeanFlowConfig(event_shape=(2,)), key=jax.random.key(0))
    >>> model.generate(4, key=jax.random.key(1)).shape
    (4, 2)
    """

    config: MeanFlowConfig = eqx.field(static=True)
    network: AbstractDenoiserNetwork
    path: LinearPath

    def __init__(self, config: MeanFlowConfig, *, key: Key[Array, ""]):
        """Random weights.

        Args:
            config: the parts.
            key: randomness of the weights.
        """
        self.config = config
        withheld = 1 if config.condition_dropout > 0 else 0
        size = config.condition_size + withheld + _NUM_FEATURES
        self.network = make_denoiser(config.network, config.event_shape, condition_size=size, key=key)
        self.path = LinearPath()

    # One example

    def _vector(self, condition: Array | None, is_withheld: Array | bool = False) -> Array | None:
        has_flag = self.config.condition_dropout > 0
        return flagged_condition(self.config, condition, is_withheld if has_flag else None)

    def _velocity(self, x: Example, r: Scalar, t: Scalar, vector: Array | None) -> Example:
        """The average velocity between `r` and `t`."""
        level = network_level(self.config.level)
        features = sinusoidal_features(level(self.path, t - r), _NUM_FEATURES)
        parts = features if vector is None else jnp.concatenate([vector, features])
        return self.network(x, level(self.path, t), parts)

    def _guided(
        self, velocity: Example, x: Example, t: Scalar, condition: Array | None, is_withheld: Array
    ) -> Example:
        """The velocity that is learned: for the scale w and the mixing k, with u at the time `t` alone,

        w (1 - k) v + k u(with the condition) + (1 - w (1 - k) - k) u(without).
        """
        scale, mixing = self.config.guidance_scale, self.config.guidance_mixing
        if scale == 1 and mixing == 0:
            return velocity
        with_it = self._velocity(x, t, t, self._vector(condition))
        without = self._velocity(x, t, t, self._vector(condition, is_withheld=True))
        ours = scale * (1.0 - mixing)
        guided = ours * velocity + mixing * with_it + (1.0 - ours - mixing) * without
        return jnp.where(is_withheld, velocity, guided)

    def _loss_one(
        self, x: Array, condition: Array | None, r: Array, t: Array, *, key: Key[Array, ""]
    ) -> dict[str, Array]:
        noise_key, dropout_key, interval_key = jax.random.split(key, 3)
        config = self.config
        noise = jax.random.normal(noise_key, x.shape, x.dtype)
        is_withheld = jax.random.bernoulli(dropout_key, config.condition_dropout)
        has_length = jax.random.bernoulli(interval_key, config.interval_fraction)
        start, end = jnp.where(has_length, jnp.minimum(r, t), t), jnp.where(has_length, jnp.maximum(r, t), t)
        noisy = self.path.alpha(end) * x + self.path.sigma(end) * noise
        velocity = self._guided(noise - x, noisy, end, condition, is_withheld)
        vector = self._vector(condition, is_withheld)
        squares = mean_flow_error(
            lambda x, r, t: self._velocity(x, r, t, vector),
            jax.lax.stop_gradient(velocity),
            noisy,
            start,
            end,
        )
        weight = (jax.lax.stop_gradient(squares) + config.adaptive_epsilon) ** -config.adaptive_power
        return {"loss": weight * squares, "mse": squares / x.size}

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Float[Array, "..."]:
        return _sample_one(_Request(self, self.times(), keep_trajectory=False), condition, key=key).x

    # Batches

    def _loss_batch(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        r_key, t_key, examples_key = jax.random.split(key, 3)
        r, t = (draw_times_batch(self.config.times, self.path, len(x), key=key) for key in (r_key, t_key))
        x = x.astype(jnp.float32)
        keys = example_keys(examples_key, len(x))
        metrics = jax.vmap(lambda x, c, r, t, key: self._loss_one(x, c, r, t, key=key))(
            x, condition, r, t, keys
        )
        metrics = jax.tree.map(jnp.mean, metrics)
        return LossOutput(total=metrics["loss"], metrics=metrics)

    def sample(
        self,
        n_samples: int,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        sampler: Any = None,
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
            sampler: None, as a mean flow is its own.
            num_steps: in how many steps.
            spacing: where they start.
            times: in place of both: the times themselves, falling from at most 1 to 0.
            keep_trajectory: whether to return every stop on the way too.
            chunk_size: at most so many samples at once.

        Raises:
            ValueError: a sampler, or times that do not fall to 0.
        """
        if sampler is not None:
            raise ValueError(
                f"a mean flow takes no `sampler`, as its network gives whole steps; got {sampler!r}. Leave it out, or "
                "train a `flow_matching` model"
            )
        stops = self._stops(num_steps, spacing, times)
        request = _Request(self, stops, keep_trajectory)
        return generate_examples(
            _sample_one, request, n_samples, key=key, condition=condition, chunk_size=chunk_size
        )


def mean_flow_error(network: Any, velocity: Example, x: Example, r: Scalar, t: Scalar) -> Scalar:
    """|u - stop_gradient(v - (t - r) du/dt)|^2, which is 0 for the average velocity.

    Args:
        network: u of (x, r, t).
        velocity: v at (x, t).
        x: the example at time `t`.
        r: the earlier time.
        t: the later time.
    """
    output, slope = jax.jvp(network, (x, r, t), (velocity, jnp.zeros_like(r), jnp.ones_like(t)))
    return jnp.sum((output - jax.lax.stop_gradient(velocity - (t - r) * slope)) ** 2)


class _Request(eqx.Module):
    """A model, and how it is to be sampled: one value for the compiled sampling loop."""

    model: MeanFlow
    times: Float[Array, " stops"]
    keep_trajectory: bool = eqx.field(static=True)

    @property
    def config(self) -> MeanFlowConfig:
        return self.model.config


def _sample_one(request: _Request, condition: Array | None, *, key: Key[Array, ""]) -> Sampled:
    model, times = request.model, request.times
    vector = model._vector(condition)
    first = model.path.sigma(times[0]) * jax.random.normal(key, model.config.event_shape)

    def step(x: Array, pair: tuple[Array, Array]) -> tuple[Array, Array | None]:
        t, s = pair
        x = x - (t - s) * model._velocity(x, s, t, vector)
        return x, (x if request.keep_trajectory else None)

    x, stops = jax.lax.scan(step, first, (times[:-1], times[1:]))
    trajectory = None if stops is None else jnp.concatenate([first[None], stops])
    return Sampled(x=x, trajectory=trajectory, num_evaluations=jnp.asarray(len(times) - 1, jnp.int32))
