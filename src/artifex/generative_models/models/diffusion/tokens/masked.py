"""Masked diffusion: a lost token becomes a mask, and a token that has come back stays.

    bound    E_t -alpha'(t) / (1 - alpha(t)) sum over masks of -log p(x_l | z_t)                        (t uniform)
    T steps  with (alpha(s) - alpha(t)) / (1 - alpha(t)) for the factor
    reverse  a mask becomes a token of p(x_l | z_t) with probability (alpha(s) - alpha(t)) / (1 - alpha(t))

The network gives no probability to masks, and tokens that are there are kept (SUBS). What is left to predict depends
on z_t but not on t; so what the network is told of the noise is the part of the tokens that are masks, which also is
true where some are given. With a perfect denoiser the bound in continuous time is log p(x), as masks are taken away one
at a time there; with T steps several may go at once, each drawn without the others, and the bound is below it.

Where alpha(1) > 0, the first z has a uniform token instead of a mask with that probability.

Sources: Sahoo et al. 2024, arXiv:2406.07524, equations 6, 7, 9 and 10; Shi et al. 2024, arXiv:2406.04329. When each
token comes back does not depend on the network, so it is drawn at first, and steps in which none does are left out: the
same samples from min(T, length) evaluations at most (what MDLM's cache and Zheng et al. 2024, arXiv:2409.02908, are
after), for networks that look at the time, too.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import betainc
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.sampling import Sampled
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


class MaskedProcess(AbstractTokenProcess):
    """The process above; the mask is the token `vocab_size`."""

    schedule: AbstractTokenSchedule
    vocab_size: int = eqx.field(static=True)

    @property
    def num_inputs(self) -> int:
        """One more than there are tokens: the mask."""
        return self.vocab_size + 1

    def noisy(self, x: Tokens, t: Scalar, *, key: Key[Array, ""]) -> Tokens:
        """Masks here and there."""
        is_lost = jax.random.uniform(key, x.shape) < self.schedule.lost(t)
        return jnp.where(is_lost, self.vocab_size, x)

    def level(self, z: Tokens, t: Scalar) -> Scalar:
        """The part of the tokens that are masks."""
        return jnp.mean((z == self.vocab_size).astype(jnp.float32))

    def rate(self, x: Tokens, z: Tokens, log_probs: LogProbs, t: Scalar) -> Scalar:
        """Cross-entropy of the masks, with the weight of equation 10."""
        return self.schedule.slope(t) / self.schedule.lost(t) * self._cross_entropy(x, z, log_probs)

    def integral(self, x: Tokens, denoise: TokenDenoiser, u: Scalar, *, key: Key[Array, ""]) -> Scalar:
        """From a uniform number k of masks instead of a time: the integral's weight of k masks is I(k, L - k + 1) / k,
        with I the regularised incomplete beta function at 1 - alpha(1), which is 1 where alpha(1) is 0.
        """
        length = len(x)
        number = jnp.minimum(jnp.floor(u * length), length - 1) + 1
        rank = jnp.argsort(jax.random.uniform(key, x.shape))
        z = jnp.where(rank < number, self.vocab_size, x)
        part = betainc(number, length - number + 1, self.schedule.lost(jnp.ones(())))
        return length / number * part * self._cross_entropy(x, z, denoise(z, jnp.ones(())))

    def step_kl(self, x: Tokens, z: Tokens, log_probs: LogProbs, t: Scalar, s: Scalar) -> Scalar:
        """Cross-entropy of the masks, with the weight of equation 9."""
        lost = self.schedule.lost(t)
        return (lost - self.schedule.lost(s)) / lost * self._cross_entropy(x, z, log_probs)

    def prior_kl(self, length: int) -> Scalar:
        """Of tokens still there at t = 1, for which the prior has a uniform one."""
        return length * self.schedule.alpha(jnp.ones(())) * jnp.log(float(self.vocab_size))

    def sample(
        self,
        denoise: TokenDenoiser,
        times: Float[Array, " stops"],
        known: Known,
        *,
        key: Key[Array, ""],
        keep_trajectory: bool = False,
    ) -> Sampled:
        """The masks go in as many groups as there are steps in which some do."""
        length, num_steps = len(known.tokens), len(times) - 1
        return_key, first_key, steps_key = jax.random.split(key, 3)
        step = jnp.where(known.is_given, -1, self._return_step(times, length, key=return_key))
        first = jax.random.randint(first_key, (length,), 0, self.vocab_size)
        z = jnp.where(step >= 0, self.vocab_size, jnp.where(known.is_given, known.tokens, first))

        num_groups = min(num_steps, length)
        group, group_steps = _groups(step, num_groups)

        def body(z: Tokens, index: Int[Array, ""]) -> tuple[Tokens, None]:
            now = group_steps[index]
            # By the step and not the group, so that a sample does not change when idle steps are left out.
            drawn = draw_tokens(denoise(z, times[now]), key=jax.random.fold_in(steps_key, now))
            return jnp.where(group == index, drawn, z), None

        x, _ = jax.lax.scan(body, z, jnp.arange(num_groups))
        trajectory = None
        if keep_trajectory:
            is_mask = step[None] >= jnp.arange(num_steps + 1)[:, None]
            trajectory = jnp.where(is_mask, self.vocab_size, x[None])
        return Sampled(x=x, trajectory=trajectory, num_evaluations=jnp.asarray(num_groups, jnp.int32))

    def _return_step(self, times: Float[Array, " stops"], length: int, *, key: Key[Array, ""]) -> Tokens:
        """The step, from 0, in which each token comes back; -1: it never was a mask.

        With u uniform, a mask at t is what has u < 1 - alpha(t): then its parts of the steps are those above.
        """
        u = jax.random.uniform(key, (length,))
        lost = self.schedule.lost(times)  # falling, the last one 0
        num_stops_as_mask = len(times) - jnp.searchsorted(lost[::-1], u, side="right")
        return (num_stops_as_mask - 1).astype(jnp.int32)

    def _cross_entropy(self, x: Tokens, z: Tokens, log_probs: LogProbs) -> Scalar:
        chosen = jnp.take_along_axis(log_probs, x[:, None], axis=1)[:, 0]
        return -jnp.sum(jnp.where(z == self.vocab_size, chosen, 0.0))


def _groups(step: Tokens, num_groups: int) -> tuple[Tokens, Int[Array, " num_groups"]]:
    """Number the steps in which some token comes back from 0 on, the earliest first.

    Returns:
        The number of each token's step (-1 for tokens without one), and the step of each number; numbers that are
        too many have step 0.
    """
    order = jnp.argsort(step)
    ordered = step[order]
    is_new = (ordered != jnp.concatenate([jnp.full((1,), -1), ordered[:-1]])) & (ordered >= 0)
    numbers = jnp.cumsum(is_new) - 1
    group = jnp.zeros_like(step).at[order].set(jnp.where(ordered >= 0, numbers, -1).astype(step.dtype))
    steps = (
        jnp.zeros(num_groups, step.dtype).at[jnp.where(is_new, numbers, num_groups)].set(ordered, mode="drop")
    )
    return group, steps
