"""Uniform diffusion: a lost token becomes any token, so on the way back every token may still change.

With q_j = alpha [j = x] + (1 - alpha) / V, the probability of token j at time t, and p_j the same of the denoiser's
probabilities instead of [j = x], of one position at which z_t = i:

    bound    E_t -alpha'(t) / (V alpha(t)) sum_j (q_j / q_i) h(p_j q_i / (p_i q_j)),     h(r) = r - 1 - log r
    reverse  p(z_s = j | z_t = i) ~ (alpha(t) / alpha(s) [j = i] + (1 - alpha(t) / alpha(s)) / V) p_j(s)

The reverse step is exact where the denoiser gives p(x_l | all other tokens of z_t), without what z_l itself says, which
the step adds; then the bound in continuous time is log p(x).

Sources: Austin et al. 2021, arXiv:2107.03006, section 3.1; Schiff et al. 2024, arXiv:2412.10193, equation 18. Theirs is
1 / p_i - 1 / q_i + sum_j (q_j / q_i) log(q_j p_i / (q_i p_j)), which is the same sum; the terms of ours are not
negative and lose no digits where they are small.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.sampling import Sampled
from artifex.generative_models.models.diffusion.times import MIN_TIME
from artifex.generative_models.models.diffusion.tokens.known import Known
from artifex.generative_models.models.diffusion.tokens.process import (
    AbstractTokenProcess,
    LogProbs,
    Scalar,
    TokenDenoiser,
    Tokens,
    draw_tokens,
)
from artifex.generative_models.models.diffusion.tokens.schedules import AbstractTokenSchedule


class UniformProcess(AbstractTokenProcess):
    """The process above."""

    schedule: AbstractTokenSchedule
    vocab_size: int = eqx.field(static=True)

    @property
    def num_inputs(self) -> int:
        """Noise looks like tokens."""
        return self.vocab_size

    def noisy(self, x: Tokens, t: Scalar, *, key: Key[Array, ""]) -> Tokens:
        """Other tokens here and there."""
        lost_key, noise_key = jax.random.split(key)
        noise = jax.random.randint(noise_key, x.shape, 0, self.vocab_size, x.dtype)
        return jnp.where(jax.random.uniform(lost_key, x.shape) < self.schedule.lost(t), noise, x)

    def level(self, z: Tokens, t: Scalar) -> Scalar:
        """1 - alpha(t), whatever the schedule calls the time."""
        return self.schedule.lost(t)

    def rate(self, x: Tokens, z: Tokens, log_probs: LogProbs, t: Scalar) -> Scalar:
        """The sum above, over all positions."""
        alpha = self.schedule.alpha(t)
        noise = self.schedule.lost(t) / self.vocab_size
        data, predicted = jax.nn.one_hot(x, self.vocab_size), jnp.exp(log_probs)
        q, p = alpha * data + noise, alpha * predicted + noise
        data_i, predicted_i, q_i, p_i = (_at(values, z) for values in (data, predicted, q, p))
        # r - 1, with the factor alpha^2 or alpha of its numerator taken out: p_j q_i - p_i q_j.
        products = predicted * data_i - predicted_i * data
        sums = predicted + data_i - predicted_i - data
        excess = alpha * (alpha * products + noise * sums) / (p_i * q)
        log_ratio = jnp.log(p) + jnp.log(q_i) - jnp.log(p_i) - jnp.log(q)
        is_near = jnp.abs(excess) < 0.5
        near = jnp.where(is_near, excess, 0.0)
        h = jnp.where(is_near, near - jnp.log1p(near), jnp.expm1(log_ratio) - log_ratio)
        return self.schedule.slope(t) / (self.vocab_size * alpha) * jnp.sum(q / q_i * h)

    def integral(self, x: Tokens, denoise: TokenDenoiser, u: Scalar, *, key: Key[Array, ""]) -> Scalar:
        """At t = u^2, which looks near the data more often and weighs it less, by dt = 2 u du."""
        t = jnp.clip(u**2, MIN_TIME, 1.0 - MIN_TIME)
        z = self.noisy(x, t, key=key)
        return 2.0 * u * self.rate(x, z, denoise(z, t), t)

    def step_kl(self, x: Tokens, z: Tokens, log_probs: LogProbs, t: Scalar, s: Scalar) -> Scalar:
        """Between two categorical distributions at every position."""
        data = jax.nn.one_hot(x, self.vocab_size)
        log_q = self._log_posterior(jnp.log(data), z, t, s)
        log_p = self._log_posterior(log_probs, z, t, s)
        is_possible = jnp.isfinite(log_q)
        difference = jnp.where(is_possible, log_q - log_p, 0.0)
        return jnp.sum(jnp.exp(log_q) * difference)

    def prior_kl(self, length: int) -> Scalar:
        """Of q(z_1 | x) and uniform tokens."""
        alpha, lost = (f(jnp.ones(())) for f in (self.schedule.alpha, self.schedule.lost))
        same = alpha + lost / self.vocab_size
        others = (1.0 - 1.0 / self.vocab_size) * lost
        return length * (same * jnp.log(self.vocab_size * same) + others * jnp.log(lost))

    def sample(
        self,
        denoise: TokenDenoiser,
        times: Float[Array, " stops"],
        known: Known,
        *,
        key: Key[Array, ""],
        keep_trajectory: bool = False,
    ) -> Sampled:
        """Ancestral sampling; given tokens are replaced at every stop by ones as noisy as the others.

        So the others are drawn as if these were known no better than at that stop: an approximation of the
        distribution given the tokens, unlike that of masks.
        """
        first_key, noise_key, steps_key = jax.random.split(key, 3)
        length = len(known.tokens)

        def with_known(z: Tokens, t: Scalar) -> Tokens:
            # With the same key at all times, a given token turns from noise to itself once.
            noisy = self.noisy(known.tokens, t, key=noise_key)
            return jnp.where(known.is_given, noisy, z)

        def body(z: Tokens, item: tuple[Scalar, Scalar, Int[Array, ""]]) -> tuple[Tokens, Any]:
            t, s, index = item
            log_probs = self._log_posterior(denoise(z, t), z, t, s)
            drawn = draw_tokens(log_probs, key=jax.random.fold_in(steps_key, index))
            z = with_known(drawn, s)
            return z, (z if keep_trajectory else None)

        start = with_known(jax.random.randint(first_key, (length,), 0, self.vocab_size), times[0])
        num_steps = len(times) - 1
        x, stops = jax.lax.scan(body, start, (times[:-1], times[1:], jnp.arange(num_steps)))
        trajectory = jnp.concatenate([start[None], stops]) if keep_trajectory else None
        return Sampled(x=x, trajectory=trajectory, num_evaluations=jnp.asarray(num_steps, jnp.int32))

    def _log_posterior(self, log_probs: LogProbs, z: Tokens, t: Scalar, s: Scalar) -> LogProbs:
        """Log p(z_s | z_t) for a denoiser's log-probabilities at z_t, or log q(z_s | z_t, x) for those of x alone."""
        alpha, lost = self.schedule.alpha(s), self.schedule.lost(s)
        kept, changed = self.schedule.alpha(t) / alpha, (self.schedule.lost(t) - lost) / alpha
        step = kept * jax.nn.one_hot(z, self.vocab_size) + changed / self.vocab_size
        before = jnp.logaddexp(jnp.log(alpha) + log_probs, jnp.log(lost / self.vocab_size))
        return jax.nn.log_softmax(jnp.log(step) + before)


def _at(values: Float[Array, "length vocab_size"], z: Tokens) -> Float[Array, "length 1"]:
    return jnp.take_along_axis(values, z[:, None], axis=1)
