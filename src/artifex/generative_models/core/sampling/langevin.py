"""Predictor-corrector sampling: after each step of another sampler, Langevin dynamics at the level reached.

    x <- x + epsilon score + sqrt(2 epsilon) z,    epsilon = 2 (r |z| / |score|)^2 = 2 r^2 sigma^2

as |z| and |noise| = sigma |score| are both about the root of the number of entries. The paper takes the norms of what
it has, averaged over a batch; with what they are on average no example depends on another.

Source: Song et al. 2021, arXiv:2011.13456, algorithms 2 to 5 (with alpha_i = 1).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PyTree

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import AbstractStepSampler, Example, Scalar
from artifex.generative_models.core.sampling.ddim import DDIMSampler
from artifex.generative_models.core.sampling.estimates import Denoiser


class LangevinSampler(AbstractStepSampler):
    """A predictor, and corrections of each of its steps but that to the data.

    Attributes:
        predictor: the other sampler.
        num_corrections: Langevin steps after each of its steps.
        snr: r above.
    """

    predictor: AbstractStepSampler = DDIMSampler(eta=1.0)
    num_corrections: int = eqx.field(static=True, default=1)
    snr: float = eqx.field(static=True, default=0.16)

    def first_memory(self, x: Example) -> PyTree[Array]:
        """That of the predictor."""
        return self.predictor.first_memory(x)

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
        """One step."""
        predictor_key, corrector_key = jax.random.split(key)
        x, memory, count = self.predictor.step(denoise, path, x, memory, t, s, key=predictor_key)

        def correct(index: Int[Array, ""], x: Example) -> Example:
            z = jax.random.normal(jax.random.fold_in(corrector_key, index), x.shape, x.dtype)
            move = self.snr * z - self.snr**2 * denoise(x, s).noise
            return x + 2.0 * path.sigma(s) * move

        def corrected() -> tuple[Example, Int[Array, ""]]:
            after = jax.lax.fori_loop(jnp.int32(0), jnp.int32(self.num_corrections), correct, x)
            return after, count + self.num_corrections

        # The same choice for all examples, so under `vmap` it stays a choice.
        x, count = jax.lax.cond(s <= 0, lambda: (x, count), corrected)
        return x, memory, count
