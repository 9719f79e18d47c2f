"""How tokens get lost and come back: the processes of discrete diffusion.

A process loses each token x on its own, with alpha(t) the probability that it is still there:

    q(z_t | x) = alpha(t) [z_t = x] + (1 - alpha(t)) noise(z_t)

A denoiser p(x | z_t, t) in the place of x in q(z_s | z_t, x), s < t, gives the reverse steps. With T of them,

    -log p(x) <= KL(q(z_1|x) || p(z_1)) + sum_i E_q KL(q(z_s|z_t, x) || p(z_s|z_t)),      t = i / T, s = (i - 1) / T

in which the last step, to s = 0, is the reconstruction; as T grows, the sum becomes an integral over t.

Sources: Austin et al. 2021 (D3PM), arXiv:2107.03006; Sahoo et al. 2024 (MDLM), arXiv:2406.07524. Deviation: alpha(1)
need not be 0, because the first term is counted.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.sampling import Sampled
from artifex.generative_models.models.diffusion.tokens.known import Known
from artifex.generative_models.models.diffusion.tokens.schedules import AbstractTokenSchedule

Tokens = Int[Array, " length"]
LogProbs = Float[Array, "length vocab_size"]
Scalar = Float[Array, ""]

# (z_t, t) -> log p(x | z_t, t) of every token at every position, for one example.
TokenDenoiser = Callable[[Tokens, Scalar], LogProbs]


class AbstractTokenProcess(eqx.Module):
    """A process, for one example of `length` tokens in [0, vocab_size).

    Attributes:
        schedule: alpha(t).
        vocab_size: number of tokens.
    """

    schedule: eqx.AbstractVar[AbstractTokenSchedule]
    vocab_size: eqx.AbstractVar[int]

    @property
    @abc.abstractmethod
    def num_inputs(self) -> int:
        """Noisy tokens lie in [0, num_inputs)."""

    @abc.abstractmethod
    def noisy(self, x: Tokens, t: Scalar, *, key: Key[Array, ""]) -> Tokens:
        """Tokens of q(z_t | x)."""

    @abc.abstractmethod
    def level(self, z: Tokens, t: Scalar) -> Scalar:
        """What the network is told of the noise: the part of the tokens that is lost, in [0, 1]."""

    @abc.abstractmethod
    def rate(self, x: Tokens, z: Tokens, log_probs: LogProbs, t: Scalar) -> Scalar:
        """What the bound's integral takes up per unit of time at z_t, in nats; T times a short step's KL."""

    @abc.abstractmethod
    def integral(self, x: Tokens, denoise: TokenDenoiser, u: Scalar, *, key: Key[Array, ""]) -> Scalar:
        """An unbiased estimate of the integral of `rate` over t, of finite variance.

        `rate` at a uniform time has none: near the data, a token is lost with probability 1 - alpha(t) and then counts
        about 1 / (1 - alpha(t)), the square of which has an infinite mean. A batch of long examples hardly shows it.

        Args:
            x: the tokens.
            denoise: the model.
            u: uniform in [0, 1); evenly spread ones make the mean of several estimates better.
            key: randomness of the noise.
        """

    @abc.abstractmethod
    def step_kl(self, x: Tokens, z: Tokens, log_probs: LogProbs, t: Scalar, s: Scalar) -> Scalar:
        """KL(q(z_s|z_t, x) || p(z_s|z_t)) of the step from t to s, in nats."""

    @abc.abstractmethod
    def prior_kl(self, length: int) -> Scalar:
        """KL(q(z_1|x) || p(z_1)) of `length` tokens, in nats: 0 where alpha(1) is 0."""

    @abc.abstractmethod
    def sample(
        self,
        denoise: TokenDenoiser,
        times: Float[Array, " stops"],
        known: Known,
        *,
        key: Key[Array, ""],
        keep_trajectory: bool = False,
    ) -> Sampled:
        """Go through the times from 1 to 0 by the reverse steps.

        Args:
            denoise: the model.
            times: falling, the first 1, the last 0.
            known: tokens that are given.
            key: randomness of the steps.
            keep_trajectory: whether to return the noisy tokens at all stops.
        """


def draw_tokens(log_probs: LogProbs, *, key: Key[Array, ""]) -> Tokens:
    """A token for each position.

    It is the largest of log-probability plus Gumbel noise. The usual noise, made of 23 random bits, never exceeds 16,
    so rare tokens never appear and what many draws add up to is less diverse than the model (Zheng et al. 2024,
    arXiv:2409.02908, section 5). This one is made of twice as many bits.
    """
    return jax.random.categorical(key, log_probs.astype(jnp.float32), mode="high").astype(jnp.int32)
