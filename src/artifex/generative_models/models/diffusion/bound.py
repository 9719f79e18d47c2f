"""The variational bound of a diffusion model on log p(x) of data on equally spaced levels.

On times t_1 > ... > t_N > 0, with x_0 on a grid, and s the time after t,

    -log p(x_0)  <=  L_T + sum over t of E KL(q(x_s | x_t, x_0) || p(x_s | x_t)) - E log p(x_0 | x_{t_N}).

q(x_s | x_t, x_0) is normal with variance sigma_s^2 (1 - SNR_t / SNR_s), and p has the mean that the model's estimate of
the data gives, and a variance (sigma_t / sigma_s)^{2 v} times larger, with v in [0, 1]: beta tilde at v = 0, beta at
v = 1. So with rho = 2 v log(sigma_t / sigma_s), an entry of the KL is

    1/2 (rho + e^{-rho} - 1 + e^{-rho} (SNR_s - SNR_t) (data estimate - x_0)^2).

L_T = 1/2 SNR_{t_1} |x_0|^2, as samplers begin with noise of variance sigma_{t_1}^2. The last term is that of a normal
distribution on the grid, around the data estimate, with a variance from that of the step before (v = 0) to
sigma_{t_N}^2 (v = 1).

Sources: Ho et al. 2020, arXiv:2006.11239, equations 5 and 13; Nichol & Dhariwal 2021, arXiv:2102.09672, equation 15;
the form with SNR: Kingma et al. 2021, arXiv:2107.00630, equation 13. Deviations: Ho et al. let samples begin with unit
variance, which changes L_T by less than 1e-9 nats an entry on their table; the last variance of `fixed_large` is
beta_1, that of their code the one of the step before.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import (
    BoundConfig,
    DDPMPathConfig,
    DiffusionConfig,
    LogSNRSpacingConfig,
)
from artifex.generative_models.core.distributions.levels import discretized_normal_log_prob
from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.random import example_keys
from artifex.generative_models.core.sampling import Denoiser, Estimate, make_times

Example = Float[Array, "..."]
Scalar = Float[Array, ""]


class BoundTerms(eqx.Module):
    """What the bound on -log p(x) is made of, in nats; of one example, or with a batch axis.

    Attributes:
        noise: L_T, what the path leaves of the data at its end.
        steps: the sum of the KL terms.
        data: what is left to say of x_0 at the last step.
    """

    noise: Float[Array, "..."]
    steps: Float[Array, "..."]
    data: Float[Array, "..."]

    @property
    def total(self) -> Float[Array, "..."]:
        """The bound on -log p(x)."""
        return self.noise + self.steps + self.data


class BoundSteps(NamedTuple):
    """Where the bound's steps lie, and what it says of the data at the last of them.

    Attributes:
        times: falling, the last of them 0.
        least: least variance of the data at the time before, as a part of that of its noise.
    """

    times: Float[Array, " stops"]
    least: Scalar | float

    @classmethod
    def at(cls, path: GaussianPath, times: Float[Array, " stops"]) -> "BoundSteps":
        """The steps of a sampler, whose last has the least variance of the one before."""
        here, before = path.log_snr(times[-2]), path.log_snr(times[-3] if len(times) > 2 else jnp.ones(()))
        return cls(times, -jnp.expm1(before - here))


def bound_steps(config: DiffusionConfig, path: GaussianPath) -> BoundSteps:
    """All levels of a table; on another path as many steps as `config.bound` says, equal in log-SNR.

    The few steps that a solver of the ODE needs would leave the bound of the ancestral sampler far above -log p. They
    go down to noise of a third of the distance of two levels, and half of this is the standard deviation of the data
    there: a network that knows the levels is then sure of them, and one that does not loses little.

    Args:
        config: a model's.
        path: its path.
    """
    if isinstance(config.path, DDPMPathConfig):
        num_steps = config.path.num_steps
        return BoundSteps.at(path, jnp.arange(num_steps, -1, -1) / num_steps)
    bound = config.bound
    span = bound.high - bound.low
    spacing = LogSNRSpacingConfig(sigma_min=span / (bound.num_levels - 1) / 3.0, sigma_max=40.0 * span)
    return BoundSteps(make_times(spacing, path, bound.num_steps), 0.25)


def variational_bound_one(
    config: BoundConfig,
    denoise: Denoiser,
    path: GaussianPath,
    x: Example,
    steps: BoundSteps,
    *,
    key: Key[Array, ""],
    num_times: int | None,
) -> BoundTerms:
    """The bound of one example, with one draw of the noise at each time.

    Args:
        config: the levels.
        denoise: the model.
        path: its path.
        x: the example.
        steps: where its steps lie.
        key: randomness of the noise and of the choice of steps.
        num_times: so many steps, one from each of as many equal parts of all of them, stand for their sum, whose mean
            they give; None: all.
    """
    times = steps.times
    noise_key, data_key, choice_key = jax.random.split(key, 3)
    num_kl = len(times) - 2
    if num_times is None or num_times >= num_kl:
        chosen, each = jnp.arange(num_kl), 1.0
    else:
        u = (jnp.arange(num_times) + jax.random.uniform(choice_key, (num_times,))) / num_times
        chosen = jnp.minimum(jnp.floor(num_kl * u).astype(jnp.int32), num_kl - 1)
        each = num_kl / num_times

    def add(total: Scalar, item: tuple[Array, Array]) -> tuple[Scalar, None]:
        index, key = item
        t, s = times[index], times[index + 1]
        return total + step_divergence(path, x, _noisy_estimate(denoise, path, x, t, key), t, s), None

    total = jnp.zeros(())
    if len(chosen):
        total = each * jax.lax.scan(add, total, (chosen, example_keys(noise_key, len(chosen))))[0]
    estimate = _noisy_estimate(denoise, path, x, times[-2], data_key)
    return BoundTerms(
        noise=0.5 * jnp.exp(path.log_snr(times[0])) * jnp.sum(x**2),
        steps=total,
        data=data_term(config, path, x, estimate, times[-2], steps.least),
    )


def _noisy_estimate(
    denoise: Denoiser, path: GaussianPath, x: Example, t: Scalar, key: Key[Array, ""]
) -> Estimate:
    noise = jax.random.normal(key, x.shape, x.dtype)
    return denoise(path.alpha(t) * x + path.sigma(t) * noise, t)


def step_divergence(path: GaussianPath, x: Example, estimate: Estimate, t: Scalar, s: Scalar) -> Scalar:
    """KL(q(x_s | x_t, x) || p(x_s | x_t)) in nats, for 0 < s < t."""
    here, there = path.log_snr(t), path.log_snr(s)
    ratio = 2.0 * (jnp.log(path.sigma(t)) - jnp.log(path.sigma(s)))
    rho = ratio * (jnp.zeros_like(x) if estimate.variance is None else estimate.variance)
    error = -jnp.exp(there) * jnp.expm1(here - there) * (estimate.data - x) ** 2
    return 0.5 * jnp.sum(rho + jnp.expm1(-rho) + jnp.exp(-rho) * error)


def data_term(
    config: BoundConfig, path: GaussianPath, x: Example, estimate: Estimate, t: Scalar, least: Scalar | float
) -> Scalar:
    """-log p(x | x_t) in nats, where t is the last time and `least` the least part of its variance."""
    largest = 2.0 * jnp.log(path.sigma(t))
    share = jnp.zeros_like(x) if estimate.variance is None else estimate.variance
    log_prob = discretized_normal_log_prob(
        x,
        estimate.data,
        jnp.exp(0.5 * (largest + (1.0 - share) * jnp.log(least))),
        low=config.low,
        high=config.high,
        num_levels=config.num_levels,
    )
    return -jnp.sum(log_prob)


def bound_term(
    config: DiffusionConfig, path: GaussianPath, x: Example, estimate: Estimate, t: Scalar
) -> Scalar:
    """One step's part of the bound times the number of steps, in bits per dimension: its mean over all steps is the
    bound without L_T.

    Args:
        config: a model's, with the path of a table.
        path: that path.
        x: the data.
        estimate: the model's at x_t.
        t: a level of the table.

    Raises:
        TypeError: the path is not that of a table.
    """
    if not isinstance(config.path, DDPMPathConfig):
        raise TypeError(
            f"the bound's steps are those of a table: `path` must be `ddpm`; got {config.path.kind}"
        )
    num_steps = config.path.num_steps
    first = jnp.float32(1.0 / num_steps)
    is_first = t < 1.5 * first
    least = -jnp.expm1(path.log_snr(2.0 * first) - path.log_snr(first))
    # Both are computed, so the one that is not taken must be finite, and so must its gradient.
    between = jnp.where(is_first, 2.0 * first, t)
    nats = jnp.where(
        is_first,
        data_term(config.bound, path, x, estimate, first, least),
        step_divergence(path, x, estimate, between, between - first),
    )
    return num_steps * nats / (x.size * math.log(2.0))
