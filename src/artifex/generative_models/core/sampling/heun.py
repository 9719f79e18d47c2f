"""EDM's sampler: Heun's method in s = sigma / alpha for x / alpha, after some noise is put back.

    d(x / alpha) / ds = noise(x, t(s)).

At each step s_t is first raised to s_hat = (1 + gamma) s_t by fresh noise. churn = 0 is Heun's method itself. A step
to the data, or from pure noise, where s is infinite, is Euler's.

Source: Karras et al. 2022, arXiv:2206.00364, algorithm 2.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import AbstractStepSampler, Example, Scalar
from artifex.generative_models.core.sampling.dpm_solver import is_end
from artifex.generative_models.core.sampling.estimates import Denoiser


class HeunSampler(AbstractStepSampler):
    """Heun's method with churn; two evaluations a step.

    Attributes:
        churn: gamma at steps where noise is put back; the paper's S_churn / num_steps, cut off at sqrt(2) - 1.
        churn_min: least s at which noise is put back (S_min).
        churn_max: largest such s (S_max).
        noise_scale: standard deviation of that noise (S_noise).
    """

    churn: float = eqx.field(static=True, default=0.0)
    churn_min: float = eqx.field(static=True, default=0.0)
    churn_max: float = eqx.field(static=True, default=math.inf)
    noise_scale: float = eqx.field(static=True, default=1.0)

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
        if self.churn:
            x, t = self._churned(path, x, t, key)
        here, there = path.log_snr(t), path.log_snr(s)
        estimate = denoise(x, t)
        alpha, sigma = path.alpha(s), path.sigma(s)
        euler = alpha * estimate.data + sigma * estimate.noise

        def second_order() -> tuple[Example, Int[Array, ""]]:
            change = denoise(euler, s).noise - estimate.noise
            distance = sigma - alpha * jnp.exp(-0.5 * here)  # alpha_s (s_s - s_t)
            return euler + 0.5 * distance * change, jnp.full((), 2, jnp.int32)

        x, count = jax.lax.cond(
            is_end(here) | is_end(there), lambda: (euler, jnp.ones((), jnp.int32)), second_order
        )
        return x, (), count

    def _churned(
        self, path: GaussianPath, x: Example, t: Scalar, key: Key[Array, ""]
    ) -> tuple[Example, Scalar]:
        ratio = jnp.exp(-0.5 * path.log_snr(t))
        gamma = jnp.where(
            (self.churn_min <= ratio) & (ratio <= self.churn_max), min(self.churn, math.sqrt(2) - 1), 0.0
        )
        raised = path.time(path.log_snr(t) - 2.0 * jnp.log1p(gamma))
        # From here on with what the path can give: its noise has an end.
        higher = jnp.exp(-0.5 * path.log_snr(raised))
        added = jnp.sqrt(jnp.maximum(higher**2 - ratio**2, 0.0)) * self.noise_scale
        z = jax.random.normal(key, x.shape, x.dtype)
        factor = path.alpha(raised) / jnp.maximum(path.alpha(t), 1e-6)
        churned = factor * x + path.alpha(raised) * added * z
        moves = (gamma > 0) & (higher > ratio)
        return jnp.where(moves, churned, x), jnp.where(moves, raised, t)
