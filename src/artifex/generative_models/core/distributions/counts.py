"""Counts: Poisson and negative binomial ones, and either with more zeros than it explains.

Events are floating-point numbers, as those of a Bernoulli distribution are. Log-probabilities have Loader's form, in
which logarithms of factorials and of powers do not cancel: with D of `special`,

    Poisson:            P(k) = exp(-D(k) - deviance(k, rate)) / sqrt(2 pi k),
    negative binomial:  P(k) = r / n  Binomial(r; n, 1 - p),    n = r + k.
"""

from typing import Any

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractEntries
from artifex.generative_models.core.distributions.special import HALF_LOG_2_PI, deviance, stirling_remainder
from artifex.generative_models.core.distributions.support import distance_to_support


class Poisson(AbstractEntries):
    """Independent counts with `P(k) = exp(-rate) rate^k / k!`.

    Args:
        rate: means, positive.
    """

    rate: Float[Array, "..."]

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-probability in nats; `-inf` where a value is no count."""
        k = jnp.where(value >= 1, value, 1.0)
        positive = -stirling_remainder(k) - deviance(k, self.rate) - 0.5 * jnp.log(k) - HALF_LOG_2_PI
        return _at_counts(value, positive, -self.rate)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        return _poisson(key, jnp.broadcast_to(self.rate, (n, *self.rate.shape)))

    def distance_to_support(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Distance to the nearest count."""
        return _distance_to_counts(value)

    def mean(self) -> Float[Array, "..."]:
        """`rate`."""
        return self.rate

    def mode(self) -> Float[Array, "..."]:
        """`floor(rate)`."""
        return jnp.floor(self.rate)

    def variance(self) -> Float[Array, "..."]:
        """`rate`."""
        return self.rate


class NegativeBinomial(AbstractEntries):
    """Independent counts: of successes, each of probability p, before a number r of failures; r need not be whole.

    It is a Poisson distribution whose rate follows a gamma distribution of concentration r: counts whose variance
    `mean + mean^2 / r` exceeds the mean.

    Args:
        total_count: r, positive.
        logits: log-odds of p, same shape; `log(mean) - log(r)`.
    """

    total_count: Float[Array, "..."]
    logits: Float[Array, "..."]

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-probability in nats; `-inf` where a value is no count."""
        r = self.total_count
        k = jnp.where(value >= 1, value, 1.0)
        n = r + k
        deviances = deviance(r, n * jax.nn.sigmoid(-self.logits)) + deviance(
            k, n * jax.nn.sigmoid(self.logits)
        )
        remainders = stirling_remainder(n) - stirling_remainder(r) - stirling_remainder(k)
        halves = 0.5 * (jnp.log(r) - jnp.log(n) - jnp.log(k)) - HALF_LOG_2_PI
        return _at_counts(value, halves + remainders - deviances, r * jax.nn.log_sigmoid(-self.logits))

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        gamma_key, poisson_key = jax.random.split(key)
        r = jnp.broadcast_to(self.total_count, (n, *self.total_count.shape))
        rate = jax.random.gamma(gamma_key, r, r.shape, r.dtype) * jnp.exp(self.logits)[None]
        return _poisson(poisson_key, rate)

    def distance_to_support(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Distance to the nearest count."""
        return _distance_to_counts(value)

    def mean(self) -> Float[Array, "..."]:
        """`r exp(logits)`."""
        return self.total_count * jnp.exp(self.logits)

    def mode(self) -> Float[Array, "..."]:
        """`floor((r - 1) exp(logits))`, or 0 where r is at most 1."""
        return jnp.floor(jnp.maximum(self.total_count - 1, 0.0) * jnp.exp(self.logits))

    def variance(self) -> Float[Array, "..."]:
        """`mean + mean^2 / r`."""
        return self.mean() * (1 + jnp.exp(self.logits))


class ZeroInflated(distrax.Distribution):
    """Entries that are 0 with a probability of their own, and otherwise follow another distribution of counts.

    All entries are batch axes; `zero_inflated` makes them event axes.

    Args:
        logits: log-odds of such a zero.
        counts: distributions whose batch shape is the shape of `logits`.
    """

    def __init__(self, logits: Float[Array, "..."], counts: distrax.Distribution):
        self.logits = logits
        self.counts = counts

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Scalars."""
        return ()

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the logits."""
        return self.logits.shape

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-probability in nats."""
        counted = jax.nn.log_sigmoid(-self.logits) + jnp.asarray(self.counts.log_prob(value))
        return jnp.where(value == 0, jnp.logaddexp(jax.nn.log_sigmoid(self.logits), counted), counted)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        zero_key, count_key = jax.random.split(key)
        probs = jnp.broadcast_to(jax.nn.sigmoid(self.logits), (n, *self.logits.shape))
        is_zero = jax.random.bernoulli(zero_key, probs)
        return jnp.where(is_zero, 0.0, self.counts.sample(seed=count_key, sample_shape=(n,)))

    def _sample_n_and_log_prob(self, key: Any, n: int) -> tuple[Array, Float[Array, "..."]]:
        samples = self._sample_n(key, n)
        return samples, jnp.asarray(jax.vmap(self.log_prob)(samples))

    def distance_to_support(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """That to the counts."""
        return distance_to_support(self.counts, value)

    def mean(self) -> Float[Array, "..."]:
        """The mean of the counts, times the probability that they count."""
        return jax.nn.sigmoid(-self.logits) * self.counts.mean()

    def variance(self) -> Float[Array, "..."]:
        """Of the counts, and between them and the zeros."""
        counted, mean = jax.nn.sigmoid(-self.logits), self.counts.mean()
        return counted * (self.counts.variance() + jax.nn.sigmoid(self.logits) * jnp.square(mean))


def _poisson(key: Any, rate: Array) -> Array:
    """Samples carry no gradient."""
    samples = jax.random.poisson(key, jax.lax.stop_gradient(rate), rate.shape, jnp.int32)
    return samples.astype(rate.dtype)


def _at_counts(value: Array, positive: Array, zero: Array) -> Array:
    log_prob = jnp.where(value == 0, zero, positive)
    return jnp.where((value >= 0) & (value == jnp.floor(value)) & jnp.isfinite(value), log_prob, -jnp.inf)


def _distance_to_counts(value: Array) -> Array:
    distance = jnp.abs(value - jnp.maximum(jnp.round(value), 0.0))
    return jnp.where(jnp.isfinite(value), distance, jnp.inf)
