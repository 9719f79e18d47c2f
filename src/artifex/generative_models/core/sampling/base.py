"""Samplers: from noise to data along a Gaussian path, for one example.

A sampler sees a denoiser, a path, the first x and an explicit array of times. The batch axis is the caller's `vmap`;
as the times are the same for all examples, nothing in one depends on another.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key, Num, PyTree

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.estimates import Denoiser

Example = Float[Array, "..."]
Scalar = Float[Array, ""]


class Sampled(eqx.Module):
    """What a sampler gives.

    Attributes:
        x: the sample.
        trajectory: x at every stop, first to last, shape `(stops, *x.shape)`; None: not asked for.
        num_evaluations: calls of the denoiser.
    """

    x: Num[Array, "..."]
    trajectory: Num[Array, "stops ..."] | None
    num_evaluations: Int[Array, ""]


class AbstractSampler(eqx.Module):
    """A way from noise to data."""

    @abc.abstractmethod
    def sample(
        self,
        denoise: Denoiser,
        path: GaussianPath,
        x: Example,
        times: Float[Array, " stops"],
        *,
        key: Key[Array, ""],
        keep_trajectory: bool = False,
    ) -> Sampled:
        """Go through the times from the first to the last.

        Args:
            denoise: the model.
            path: the path on which it was trained.
            x: x at the first time.
            times: falling times; the last may be 0, the data.
            key: randomness of the steps.
            keep_trajectory: whether to return all stops.
        """


class AbstractStepSampler(AbstractSampler):
    """A sampler that makes one step from each time to the next, with a memory of earlier ones."""

    @abc.abstractmethod
    def first_memory(self, x: Example) -> PyTree[Array]:
        """What the first step finds in its memory."""

    @abc.abstractmethod
    def step(
        self,
        denoise: Denoiser,
        path: GaussianPath,
        x: Example,
        memory: PyTree[Array],
        t: Scalar,
        s: Scalar,
        *,
        key: Key[Array, ""],
    ) -> tuple[Example, PyTree[Array], Int[Array, ""]]:
        """One step from time `t` to the earlier time `s`; returns x, the memory, and the number of evaluations."""

    def sample(
        self,
        denoise: Denoiser,
        path: GaussianPath,
        x: Example,
        times: Float[Array, " stops"],
        *,
        key: Key[Array, ""],
        keep_trajectory: bool = False,
    ) -> Sampled:
        """All steps, in one loop."""

        def body(carry: Any, item: Any) -> tuple[Any, Any]:
            x, memory, count = carry
            t, s, index = item
            x, memory, more = self.step(denoise, path, x, memory, t, s, key=jax.random.fold_in(key, index))
            return (x, memory, count + more), (x if keep_trajectory else None)

        start = (x, self.first_memory(x), jnp.zeros((), jnp.int32))
        steps = (times[:-1], times[1:], jnp.arange(len(times) - 1))
        (last, _, count), stops = jax.lax.scan(body, start, steps)
        trajectory = jnp.concatenate([x[None], stops]) if keep_trajectory else None
        return Sampled(x=last, trajectory=trajectory, num_evaluations=count)
