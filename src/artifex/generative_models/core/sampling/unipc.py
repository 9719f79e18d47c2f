"""UniPC: each evaluation first corrects the step that led to it, then predicts the next.

With lambda = log(alpha / sigma), h the length of a step in it, and D the model's estimates of the data,

    x_s = sigma_s / sigma_t x_t - alpha_s B (D_t + sum_k rho_k (D_k - D_t) / r_k),    B = e^{-h} - 1,

where D_k was made r_k h away. The predictor of order 2 takes the estimate before, with rho = 1/2 (DPM-Solver++ 2M); the
corrector takes that at s too, which the next step needs anyhow, so it is free, and gains one order.

Source: Zhao et al. 2023, arXiv:2302.04867, algorithms 1 and 2 with B(h) of variant bh2 and data prediction (their
appendix); order 2.
"""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Key

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import AbstractStepSampler, Example, Scalar
from artifex.generative_models.core.sampling.dpm_solver import data_step, is_end
from artifex.generative_models.core.sampling.estimates import Denoiser


class UniPCMemory(eqx.Module):
    """The last two evaluations, and where the last step began.

    Attributes:
        x: there, corrected.
        t: its time.
        data: the estimate there.
        earlier_data: the estimate one step before.
        earlier_log_snr: where that was made.
        has_last: whether there was a last step.
        has_earlier: whether there was one before, in reach.
    """

    x: Float[Array, "..."]
    t: Float[Array, ""]
    data: Float[Array, "..."]
    earlier_data: Float[Array, "..."]
    earlier_log_snr: Float[Array, ""]
    has_last: Bool[Array, ""]
    has_earlier: Bool[Array, ""]


class UniPCSampler(AbstractStepSampler):
    """UniPC of order 2, one evaluation a step."""

    def first_memory(self, x: Example) -> UniPCMemory:
        """Nothing yet."""
        zeros, zero, no = jnp.zeros_like(x), jnp.zeros(()), jnp.zeros((), bool)
        return UniPCMemory(zeros, zero, zeros, zeros, zero, no, no)

    def step(
        self,
        denoise: Denoiser,
        path: GaussianPath,
        x: Example,
        memory: UniPCMemory,
        t: Scalar,
        s: Scalar,
        *,
        key: Key[Array, ""],
    ) -> tuple[Example, UniPCMemory, Int[Array, ""]]:
        """One step."""
        data = denoise(x, t).data
        last, here, there = (path.log_snr(time) for time in (memory.t, t, s))
        has_last = memory.has_last & ~is_end(last)
        x = jnp.where(has_last & ~is_end(here), self._corrected(path, memory, data, t, has_last), x)
        second = has_last & ~is_end(here) & ~is_end(there)
        half = 0.5 * (there - here) / jnp.where(second, here - last, 1.0)
        middle = data + jnp.where(second, half, 0.0) * (data - memory.data)
        remembered = UniPCMemory(x, t, data, memory.data, last, jnp.ones((), bool), has_last)
        return data_step(path, x, middle, t, s, noise=None), remembered, jnp.ones((), jnp.int32)

    def _corrected(
        self, path: GaussianPath, memory: UniPCMemory, data: Example, t: Scalar, is_known: Bool[Array, ""]
    ) -> Example:
        """X at t, by the last step with the estimate at its end."""
        last = path.log_snr(memory.t)
        h = jnp.where(is_known, 0.5 * (path.log_snr(t) - last), 1.0)
        r = jnp.where(memory.has_earlier, 0.5 * (memory.earlier_log_snr - last) / h, -1.0)
        b = jnp.expm1(-h)
        phi = -b / h - 1.0
        first, second = phi / b, -2.0 * (phi / h + 0.5) / b
        rho = jnp.where(memory.has_earlier, (first - second) / (1.0 - r), 0.0)
        rho_end = jnp.where(memory.has_earlier, first - rho, 0.5)
        slope = rho * (memory.earlier_data - memory.data) / r + rho_end * (data - memory.data)
        return data_step(path, memory.x, memory.data + slope, memory.t, t, noise=None)
