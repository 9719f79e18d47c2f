"""Restart: on the way to the data, go back up by fresh noise and down again, several times.

    x_high = alpha_high / alpha_low x_low + sqrt(sigma_high^2 - (alpha_high / alpha_low)^2 sigma_low^2) z

then another sampler's steps from high to low. Fresh noise contracts the errors made before, and the steps of an ODE
keep new ones small.

Source: Xu et al. 2023, arXiv:2306.14878, algorithm 1, with one interval, whose lower end is the first stop of the
sampler at or below the level asked for.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key, PyTree

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import AbstractStepSampler, Example, Scalar
from artifex.generative_models.core.sampling.estimates import Denoiser
from artifex.generative_models.core.sampling.heun import HeunSampler


class RestartSampler(AbstractStepSampler):
    """Another sampler, restarted.

    Attributes:
        sampler: what makes the steps.
        low: sigma / alpha at which it goes back.
        high: to where.
        num_restarts: how often.
        num_steps: steps of each way down again, equal in log-SNR.
    """

    sampler: AbstractStepSampler = HeunSampler()
    low: float = eqx.field(static=True, default=0.1)
    high: float = eqx.field(static=True, default=1.0)
    num_restarts: int = eqx.field(static=True, default=2)
    num_steps: int = eqx.field(static=True, default=6)

    def __check_init__(self) -> None:
        if not 0 < self.low < self.high:
            raise ValueError(f"`high` must exceed `low`, above 0; got {self.high} and {self.low}. Swapped?")

    def first_memory(self, x: Example) -> PyTree[Array]:
        """That of the sampler."""
        return self.sampler.first_memory(x)

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
        """One step, and the restarts where it passes the level."""
        step_key, restart_key = jax.random.split(key)
        x, memory, count = self.sampler.step(denoise, path, x, memory, t, s, key=step_key)
        low, high = (path.time(-2.0 * jnp.log(jnp.float32(level))) for level in (self.low, self.high))
        ways = path.time(jnp.linspace(path.log_snr(high), path.log_snr(s), self.num_steps + 1)).at[-1].set(s)
        factor = path.alpha(high) / path.alpha(jnp.minimum(s, high))
        fresh = jnp.sqrt(jnp.maximum(path.sigma(high) ** 2 - (factor * path.sigma(s)) ** 2, 0.0))

        def restart(carry: PyTree[Array], index: Int[Array, ""]) -> tuple[PyTree[Array], None]:
            noise_key, way_key = jax.random.split(jax.random.fold_in(restart_key, index))
            x, _, count = carry
            x = factor * x + fresh * jax.random.normal(noise_key, x.shape, x.dtype)
            down = self.sampler.sample(denoise, path, x, ways, key=way_key)
            return (down.x, self.sampler.first_memory(x), count + down.num_evaluations), None

        def restarted() -> tuple[Example, PyTree[Array], Int[Array, ""]]:
            return jax.lax.scan(restart, (x, memory, count), jnp.arange(self.num_restarts))[0]

        # The same choice for all examples, so under `vmap` it stays a choice.
        passes = (s <= low) & (low < t) & (s > 0)
        return jax.lax.cond(passes, restarted, lambda: (x, memory, count))
