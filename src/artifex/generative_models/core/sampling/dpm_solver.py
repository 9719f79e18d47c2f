"""DPM-Solver++: exponential integrators for the data, in lambda = log(alpha / sigma).

    x_s = sigma_s / sigma_t x_t + alpha_s (1 - e^{-h}) D,                                    h = lambda_s - lambda_t

is exact where the model's data estimate D does not change. The first order takes D at t; the second extrapolates it to
the middle of the step, from the last step's estimate (2M) or from one more evaluation inside of the step (2S). The
stochastic form solves the reverse SDE in the same way:

    x_s = sigma_s / sigma_t e^{-h} x_t + alpha_s (1 - e^{-2h}) D + sigma_s sqrt(1 - e^{-2h}) z.

Where lambda is infinite, at the first step from pure noise or at the last one to the data, a step is of first order.

Source: Lu et al. 2022, arXiv:2211.01095, equation 9, algorithms 1 and 2, and the SDE form of its section 4.2 (the
midpoint form of D).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import AbstractStepSampler, Example, Scalar
from artifex.generative_models.core.sampling.estimates import Denoiser

# Beyond e^9 = 8,100 either way, sigma / alpha is an end of the path and not a place between.
_LARGEST_LAMBDA = 9.0


def is_end(log_snr: Scalar) -> Bool[Array, ""]:
    """Whether a log-SNR is that of pure noise or of clean data, in float32."""
    return jnp.abs(log_snr) > 2.0 * _LARGEST_LAMBDA


def data_step(
    path: GaussianPath, x: Example, data: Example, t: Scalar, s: Scalar, *, noise: Example | None
) -> Example:
    """The exact step for a constant data estimate, without noise or, by the reverse SDE, with standard normal noise."""
    alpha, sigma, sigma_t = path.alpha(s), path.sigma(s), path.sigma(t)
    h = 0.5 * (path.log_snr(s) - path.log_snr(t))
    is_data = sigma == 0  # there the log-SNR is cut off, but h is infinite
    if noise is None:
        return sigma / sigma_t * x + alpha * jnp.where(is_data, 1.0, -jnp.expm1(-h)) * data
    gone = jnp.where(is_data, 1.0, -jnp.expm1(-2.0 * h))
    return sigma / sigma_t * jnp.exp(-h) * x + alpha * gone * data + sigma * jnp.sqrt(gone) * noise


class Memory(eqx.Module):
    """The last evaluation of a multistep solver.

    Attributes:
        data: its estimate.
        log_snr: where it was made.
        exists: whether there was one.
    """

    data: Float[Array, "..."]
    log_snr: Float[Array, ""]
    exists: Bool[Array, ""]


class DPMSolverMultistepSampler(AbstractStepSampler):
    """DPM-Solver++ 2M, one evaluation a step.

    Attributes:
        is_stochastic: solve the reverse SDE (SDE-DPM-Solver++ 2M) in place of the probability-flow ODE.
    """

    is_stochastic: bool = eqx.field(static=True, default=False)

    def first_memory(self, x: Example) -> Memory:
        """Nothing yet."""
        return Memory(jnp.zeros_like(x), jnp.zeros(()), jnp.zeros((), bool))

    def step(
        self,
        denoise: Denoiser,
        path: GaussianPath,
        x: Example,
        memory: Memory,
        t: Scalar,
        s: Scalar,
        *,
        key: Key[Array, ""],
    ) -> tuple[Example, Memory, Int[Array, ""]]:
        """One step."""
        data = denoise(x, t).data
        here, there = path.log_snr(t), path.log_snr(s)
        first_order = ~memory.exists | is_end(here) | is_end(there) | is_end(memory.log_snr)
        # D at the middle of the step: half the step, in units of the last one, beyond the line through both.
        last = jnp.where(first_order, 1.0, here - memory.log_snr)
        half = jnp.where(first_order, 0.0, 0.5 * (there - here) / last)
        middle = data + half * (data - memory.data)
        noise = jax.random.normal(key, x.shape, x.dtype) if self.is_stochastic else None
        x = data_step(path, x, middle, t, s, noise=noise)
        return x, Memory(data, here, jnp.ones((), bool)), jnp.ones((), jnp.int32)


class DPMSolverSinglestepSampler(AbstractStepSampler):
    """DPM-Solver++ 2S, two evaluations a step, the second in the middle of it."""

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
        """One step."""
        here, there = path.log_snr(t), path.log_snr(s)
        data = denoise(x, t).data

        def second_order() -> tuple[Example, Int[Array, ""]]:
            middle = path.time(0.5 * (here + there))
            at_middle = data_step(path, x, data, t, middle, noise=None)
            return denoise(at_middle, middle).data, jnp.full((), 2, jnp.int32)

        # The same choice for all examples, so under `vmap` it stays a choice.
        middle, count = jax.lax.cond(
            is_end(here) | is_end(there), lambda: (data, jnp.ones((), jnp.int32)), second_order
        )
        return data_step(path, x, middle, t, s, noise=None), (), count
