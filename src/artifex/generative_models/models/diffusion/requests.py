"""What is asked of a sampling loop, as one value, the loop for one example, and the checks of what is asked."""

from typing import Any

import equinox as eqx
import jax
import jax.core
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, PyTree

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import DiffusionConfig, GuidanceConfig
from artifex.generative_models.core.sampling import (
    AbstractControl,
    AbstractSampler,
    AbstractStepSampler,
    InpaintingSampler,
    Sampled,
)


class Request(eqx.Module):
    """A model, and how it is to be sampled, the same for all examples.

    Attributes:
        model: a diffusion model.
        sampler: how to go from noise to data.
        times: where it stops on the way.
        guidance: how strongly samples follow their condition.
        guide: the model to be led away from; None: `model` without its condition.
        control: what else they follow; None: nothing.
        keep_trajectory: whether every stop is returned.
        num_resamples: how often each step of inpainting is made.
    """

    model: Any
    sampler: AbstractSampler
    times: Float[Array, " stops"]
    guidance: GuidanceConfig = eqx.field(static=True)
    guide: Any = None
    control: AbstractControl | None = None
    keep_trajectory: bool = eqx.field(static=True, default=False)
    num_resamples: int = eqx.field(static=True, default=1)

    @property
    def config(self) -> DiffusionConfig:
        """That of the model."""
        return self.model.config


class Inputs(eqx.Module):
    """What one example is made from, besides its condition and its key.

    Attributes:
        noise: where it begins, of unit variance; None: drawn.
        x: an example: what is known of it, or, without `is_known`, near which the new one is.
        is_known: which entries of `x` are known.
        target: what the control wants.
    """

    noise: Array | None = None
    x: Array | None = None
    is_known: Array | None = None
    target: PyTree[Array] = None


def sample_one(
    request: Request, condition: Array | None, inputs: Inputs | None = None, *, key: Key[Array, ""]
) -> Sampled:
    """One new example."""
    inputs = Inputs() if inputs is None else inputs
    noise_key, steps_key = jax.random.split(key)
    model, sampler, times = request.model, request.sampler, request.times
    noise = jax.random.normal(noise_key, model.config.event_shape) if inputs.noise is None else inputs.noise
    start = model.path.sigma(times[0]) * noise
    if inputs.is_known is not None and inputs.x is not None and isinstance(sampler, AbstractStepSampler):
        sampler = InpaintingSampler(sampler, inputs.x, inputs.is_known, request.num_resamples)
    elif inputs.x is not None:
        start = start + model.path.alpha(times[0]) * inputs.x
    denoise = model._denoiser(condition, request.guidance, request.guide)
    if request.control is not None:
        denoise = request.control.apply(denoise, model.path, inputs.target)
    return sampler.sample(
        denoise, model.path, start, times, key=steps_key, keep_trajectory=request.keep_trajectory
    )


def check_guidance(config: DiffusionConfig, guidance: GuidanceConfig, guide: Any) -> None:
    """Raise unless a model can be guided so.

    Raises:
        ValueError: it has not learned without conditions and there is no guide, or the guide does not fit.
    """
    if guide is None and guidance.scale != 1 and config.condition_dropout == 0:
        raise ValueError(
            f"`guidance_scale` {guidance.scale:g} needs a conditional model that also learned without conditions: "
            "train it with `condition_dropout` above 0, or give a weaker model as `guide`"
        )
    for name in ("event_shape", "num_classes", "condition_shape", "path", "variance"):
        if guide is not None and getattr(guide.config, name) != getattr(config, name):
            raise ValueError(
                f"`guide` must have the model's `{name}`, {getattr(config, name)}; got "
                f"{getattr(guide.config, name)}"
            )


def check_inpainting(sampler: AbstractSampler, num_resamples: int) -> None:
    """Raise unless a sampler can be held to what is known.

    Raises:
        ValueError: it does not go from time to time, or `num_resamples` is less than 1.
    """
    if not isinstance(sampler, AbstractStepSampler):
        raise ValueError(
            f"inpainting replaces what is known after each step, and {type(sampler).__name__} chooses its steps "
            "itself: use another `sampler`, such as `ddim` or `ode`"
        )
    if num_resamples < 1:
        raise ValueError(f"`num_resamples` must be at least 1; got {num_resamples}")


def examples_for(config: DiffusionConfig, examples: Arrays, num: int | None, name: str) -> Array:
    """Examples as an array; one alone of shape `event_shape` is repeated where their number is known.

    Raises:
        ValueError: their shape is another one.
    """
    array, shape = jnp.asarray(examples), config.event_shape
    if num is not None and array.shape == shape:
        array = jnp.broadcast_to(array, (num, *shape))
    if array.ndim != len(shape) + 1 or array.shape[1:] != shape or array.shape[0] != (num or array.shape[0]):
        wanted = "batch" if num is None else num
        raise ValueError(
            f"`{name}` must have shape ({wanted}, {', '.join(map(str, shape))}); got {array.shape}"
        )
    return array if array.dtype == bool else array.astype(jnp.float32)


def targets_for(control: AbstractControl | None, target: PyTree[Arrays], num: int) -> PyTree[Array]:
    """Targets as arrays.

    Raises:
        ValueError: there is no control, or there is another number of them.
    """
    if target is None:
        return None
    if control is None:
        raise ValueError("`target` is what a `control` wants: give `control` too")
    target = jax.tree.map(jnp.asarray, target)
    for leaf in jax.tree.leaves(target):
        if leaf.ndim == 0 or len(leaf) != num:
            raise ValueError(
                f"`target` must have a leading axis of length {num}, one for each sample; got shape {leaf.shape}"
            )
    return target


def times_for(t: Arrays, num: int) -> Float[Array, " num"]:
    """Times of examples as an array; a single one is repeated.

    Raises:
        ValueError: there is another number of them, or one is outside of [0, 1]; inside of a trace values are not
            checked.
    """
    array = jnp.asarray(t, jnp.float32)
    if array.shape not in ((), (num,)):
        raise ValueError(f"`t` must be one time or {num}, one for each example; got shape {array.shape}")
    if not isinstance(array, jax.core.Tracer):
        values = np.asarray(array)
        if not ((values >= 0) & (values <= 1)).all():
            raise ValueError(
                f"`t` must lie in [0, 1], from data to noise; got values from {values.min()} to {values.max()}. For a "
                "noise level give path.time(-2 log(sigma / alpha))."
            )
    return jnp.broadcast_to(array, (num,))
