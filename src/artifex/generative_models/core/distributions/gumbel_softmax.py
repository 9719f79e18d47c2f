"""The Gumbel-softmax, or concrete, distribution: a one-hot vector that is relaxed, so that its samples have gradients.

Sources: Jang et al. 2017, arXiv:1611.01144; Maddison et al. 2017, arXiv:1611.00712, equation 10.
"""

import math
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractDistribution
from artifex.generative_models.core.distributions.dirichlet import distance_to_simplex


class GumbelSoftmax(AbstractDistribution):
    """Vectors `softmax((logits + Gumbel noise) / temperature)`.

    Args:
        logits: unnormalized log-probabilities along the last axis.
        temperature: positive, without that axis; at 0 it would be a one-hot vector.
    """

    logits: Float[Array, "... categories"]
    temperature: Float[Array, "..."]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """One vector."""
        return self.logits.shape[-1:]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The axes before."""
        return self.logits.shape[:-1]

    def log_prob(self, value: Float[Array, "... categories"]) -> Float[Array, "..."]:
        """Log-density in nats, with respect to all entries but the last; `-inf` without positive entries only.

        With K categories it is `log (K - 1)! + (K - 1) log T + sum log_softmax(logits - T log x) - sum log x`.
        """
        is_inside = jnp.all(value > 0, axis=-1)
        log_x = jnp.log(jnp.where(is_inside[..., None], value, 1.0))
        log_weights = jax.nn.log_softmax(self.logits - self.temperature[..., None] * log_x, axis=-1)
        num = self.logits.shape[-1]
        log_scale = math.lgamma(num) + (num - 1) * jnp.log(self.temperature)
        return jnp.where(is_inside, log_scale + jnp.sum(log_weights - log_x, axis=-1), -jnp.inf)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        noise = jax.random.gumbel(key, (n, *self.logits.shape), self.logits.dtype)
        samples = jax.nn.softmax((self.logits[None] + noise) / self.temperature[None, ..., None], axis=-1)
        # At low temperatures many entries would round to 0, which is not in the support.
        return jnp.maximum(samples, jnp.finfo(samples.dtype).tiny)

    def distance_to_support(self, value: Float[Array, "... categories"]) -> Float[Array, "..."]:
        """The most negative entry, or how far the sum is from 1 beyond rounding."""
        return distance_to_simplex(value)


def straight_through(relaxed: Float[Array, "... categories"]) -> Float[Array, "... categories"]:
    """The one-hot vector of the largest entry, with the gradient of the relaxed one."""
    hard = jax.nn.one_hot(jnp.argmax(relaxed, axis=-1), relaxed.shape[-1], dtype=relaxed.dtype)
    return hard + relaxed - jax.lax.stop_gradient(relaxed)
