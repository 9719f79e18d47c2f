"""Inpainting: after each step, what is known of the example takes its place, with the noise of that level.

To let the rest fall in with it, a step can be made several times, each time from its result with the noise put back:

    x_t <- alpha_t / alpha_s x_s + sqrt(sigma_t^2 - (alpha_t / alpha_s)^2 sigma_s^2) z.

Many repetitions sample from what the model has for the rest, given what is known; one alone does so only where the two
do not depend on each other.

Source: Lugmayr et al. 2022 (RePaint), arXiv:2201.09865, algorithm 1, for any sampler; jumps of one step.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key, PyTree

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import AbstractStepSampler, Example, Scalar
from artifex.generative_models.core.sampling.estimates import Denoiser


class InpaintingSampler(AbstractStepSampler):
    """Another sampler, held to what is known. A multistep method begins anew at each step, as what it remembers is
    that of another x.

    Attributes:
        sampler: what makes the steps.
        known: an example, of which the entries marked in `is_known` count.
        is_known: which do.
        num_resamples: how often each step is made.
    """

    sampler: AbstractStepSampler
    known: Example
    is_known: Bool[Array, "..."]
    num_resamples: int = eqx.field(static=True, default=1)

    def __check_init__(self) -> None:
        if self.num_resamples < 1:
            raise ValueError(f"`num_resamples` must be at least 1; got {self.num_resamples}")

    def first_memory(self, x: Example) -> tuple[()]:
        """None."""
        return ()

    def step(
        self,
        denoise: Denoiser,
        path: GaussianPath,
        x: Example,
        memory: tuple[()],
        t: Scalar,
        s: Scalar,
        *,
        key: Key[Array, ""],
    ) -> tuple[Example, tuple[()], Int[Array, ""]]:
        """One step, as often as it is made."""
        factor = path.alpha(t) / path.alpha(s)
        fresh = jnp.sqrt(jnp.maximum(path.sigma(t) ** 2 - (factor * path.sigma(s)) ** 2, 0.0))

        def once(carry: PyTree[Array], index: Int[Array, ""]) -> tuple[PyTree[Array], None]:
            x, _, count = carry
            step_key, known_key, back_key = jax.random.split(jax.random.fold_in(key, index), 3)
            start = self.sampler.first_memory(x)
            moved, _, more = self.sampler.step(denoise, path, x, start, t, s, key=step_key)
            noise = jax.random.normal(known_key, x.shape, x.dtype)
            known = path.alpha(s) * self.known + path.sigma(s) * noise
            moved = jnp.where(self.is_known, known, moved)
            again = factor * moved + fresh * jax.random.normal(back_key, x.shape, x.dtype)
            return (again, moved, count + more), None

        start = (x, x, jnp.zeros((), jnp.int32))
        (_, x, count), _ = jax.lax.scan(once, start, jnp.arange(self.num_resamples))
        return x, (), count
