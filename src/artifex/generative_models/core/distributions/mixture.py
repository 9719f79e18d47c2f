"""Mixtures of distributions of one kind.

`distrax.MixtureSameFamily` is the same, but it multiplies the samples of all components by zeros and ones, which makes
NaN of infinite ones and floats of integers, and its log-probability of samples needs ranks to be promoted.
"""

from typing import Any

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.support import distance_to_support


class Mixture(distrax.Distribution):
    """Mixtures, all of them batch axes; `mixture` makes them event axes.

    There is no closed form of the entropy, of the mode and of divergences: see `monte_carlo_entropy` and
    `monte_carlo_kl`.

    Args:
        logits: unnormalized log-weights; the last axis holds the components.
        components: distributions whose batch shape is the shape of `logits`.
    """

    def __init__(self, logits: Float[Array, "... components"], components: distrax.Distribution):
        self.logits = logits
        self.components = components

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of one component's event."""
        return self.components.event_shape

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the logits without the last axis."""
        return self.logits.shape[:-1]

    def log_prob(self, value: Array) -> Float[Array, "..."]:
        """Log-sum-exp of the components' log-probabilities and log-weights, in nats."""
        log_weights = jax.nn.log_softmax(self.logits, axis=-1)
        log_probs = self.components.log_prob(self._for_components(value))
        return log_sum_exp(jnp.add(log_probs, log_weights))

    def responsibilities(self, value: Array) -> Float[Array, "... components"]:
        """Posterior probabilities of the components, given an event."""
        log_weights = jax.nn.log_softmax(self.logits, axis=-1)
        log_probs = self.components.log_prob(self._for_components(value))
        return jax.nn.softmax(jnp.add(log_probs, log_weights), axis=-1)

    def _for_components(self, value: Array) -> Array:
        """The event once for each component."""
        shape = (*self.logits.shape, *self.event_shape)
        if value.ndim > len(shape) - 1:  # Events of a sample, in front.
            shape = (*value.shape[: value.ndim - len(shape) + 1], *shape)
        expanded = jnp.expand_dims(value, -1 - len(self.event_shape))
        return jnp.broadcast_to(expanded, shape)

    def _sample_n(self, key: Any, n: int) -> Array:
        choice_key, component_key = jax.random.split(key)
        logits = jnp.broadcast_to(self.logits, (n, *self.logits.shape))
        choices = jax.random.categorical(choice_key, logits, axis=-1)
        samples = self.components.sample(seed=component_key, sample_shape=(n,))
        indices = choices.reshape(*choices.shape, 1, *(1 for _ in self.event_shape))
        axis = choices.ndim
        return jnp.squeeze(jnp.take_along_axis(samples, indices, axis=axis), axis=axis)

    def _sample_n_and_log_prob(self, key: Any, n: int) -> tuple[Array, Float[Array, "..."]]:
        samples = self._sample_n(key, n)
        return samples, jax.vmap(self.log_prob)(samples)

    def distance_to_support(self, value: Array) -> Float[Array, "..."]:
        """The least distance to the support of a component."""
        distances = distance_to_support(self.components, self._for_components(value))
        return jnp.min(distances, axis=-1)

    def mean(self) -> Float[Array, "..."]:
        """Weighted mean of the components' means."""
        return jnp.sum(self._weights() * self.components.mean(), axis=self._component_axis)

    def variance(self) -> Float[Array, "..."]:
        """Mean variance of the components, and variance of their means."""
        weights, means, axis = self._weights(), self.components.mean(), self._component_axis
        spread = jnp.square(means - jnp.expand_dims(self.mean(), axis))
        return jnp.sum(weights * (self.components.variance() + spread), axis=axis)

    @property
    def _component_axis(self) -> int:
        return -1 - len(self.event_shape)

    def _weights(self) -> Array:
        weights = jax.nn.softmax(self.logits, axis=-1)
        return weights.reshape(*weights.shape, *(1 for _ in self.event_shape))


def log_sum_exp(terms: Float[Array, "... terms"]) -> Float[Array, "..."]:
    """Over the last axis; where all terms are `-inf`, the gradient is 0 and not NaN."""
    largest = jax.lax.stop_gradient(jnp.max(terms, axis=-1, keepdims=True))
    is_possible = jnp.isfinite(largest)
    shifted = jnp.where(is_possible, terms - jnp.where(is_possible, largest, 0.0), 0.0)
    total = jnp.log(jnp.sum(jnp.exp(shifted), axis=-1))
    return jnp.where(is_possible[..., 0], total + largest[..., 0], largest[..., 0])
