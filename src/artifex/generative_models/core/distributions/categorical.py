"""One of several categories: as an integer, or as a one-hot vector."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from artifex.generative_models.core.distributions.base import AbstractDistribution


class Categorical(AbstractDistribution):
    """Independent integer entries in [0, categories), all of them batch axes; `categorical` makes them event axes.

    Args:
        logits: unnormalized log-probabilities along the last axis; `-inf` where a category is impossible.
    """

    logits: Float[Array, "... categories"]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Scalars."""
        return ()

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the logits without the last axis."""
        return self.logits.shape[:-1]

    @property
    def num_categories(self) -> int:
        """How many categories there are."""
        return self.logits.shape[-1]

    @property
    def probs(self) -> Float[Array, "... categories"]:
        """Probabilities of all categories."""
        return jax.nn.softmax(self.logits, axis=-1)

    def log_prob(self, value: Shaped[Array, "..."]) -> Float[Array, "..."]:
        """Log-probability in nats; `-inf` where an entry is no category."""
        index = jnp.clip(value, 0, self.num_categories - 1).astype(jnp.int32)
        log_probs = jax.nn.log_softmax(self.logits, axis=-1)
        log_prob = jnp.take_along_axis(log_probs, index[..., None], axis=-1)[..., 0]
        return jnp.where(index == value, log_prob, -jnp.inf)

    def _sample_n(self, key: Any, n: int) -> Int[Array, "..."]:
        return _draw(key, self.logits, n)

    def distance_to_support(self, value: Shaped[Array, "..."]) -> Float[Array, "..."]:
        """Distance to the nearest category."""
        nearest = jnp.clip(jnp.round(value), 0, self.num_categories - 1)
        return jnp.abs(value - nearest).astype(self.logits.dtype)

    def mode(self) -> Int[Array, "..."]:
        """The most probable category, the first of equal ones."""
        return jnp.argmax(self.logits, axis=-1).astype(jnp.int32)

    def entropy(self) -> Float[Array, "..."]:
        """In nats."""
        return categorical_entropy(self.logits)


class OneHot(AbstractDistribution):
    """Vectors with one 1 among zeros, as floating-point numbers.

    Args:
        logits: unnormalized log-probabilities along the last axis, which is that of a vector.
    """

    logits: Float[Array, "... categories"]

    @property
    def event_shape(self) -> tuple[int, ...]:
        """One vector."""
        return self.logits.shape[-1:]

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """The axes before."""
        return self.logits.shape[:-1]

    def log_prob(self, value: Float[Array, "... categories"]) -> Float[Array, "..."]:
        """Log-probability in nats; `-inf` for what is no one-hot vector."""
        log_probs = jax.nn.log_softmax(self.logits, axis=-1)
        chosen = jnp.where(value == 1, log_probs, 0.0)
        return jnp.where(self.distance_to_support(value) == 0, jnp.sum(chosen, axis=-1), -jnp.inf)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        draws = _draw(key, self.logits, n)
        return jax.nn.one_hot(draws, self.logits.shape[-1], dtype=self.logits.dtype)

    def distance_to_support(self, value: Float[Array, "... categories"]) -> Float[Array, "..."]:
        """Largest difference to the one-hot vector of the largest entry."""
        nearest = jax.nn.one_hot(jnp.argmax(value, axis=-1), value.shape[-1], dtype=value.dtype)
        distance = jnp.max(jnp.abs(value - nearest), axis=-1)
        return jnp.where(jnp.isnan(distance), jnp.inf, distance)

    def mean(self) -> Float[Array, "... categories"]:
        """Probabilities of all categories."""
        return jax.nn.softmax(self.logits, axis=-1)

    def mode(self) -> Float[Array, "... categories"]:
        """The most probable vector."""
        return jax.nn.one_hot(
            jnp.argmax(self.logits, axis=-1), self.logits.shape[-1], dtype=self.logits.dtype
        )

    def variance(self) -> Float[Array, "... categories"]:
        """`p (1 - p)` of each entry."""
        probs = self.mean()
        return probs * (1 - probs)

    def entropy(self) -> Float[Array, "..."]:
        """In nats."""
        return categorical_entropy(self.logits)


def categorical_entropy(logits: Float[Array, "... categories"]) -> Float[Array, "..."]:
    """Entropy in nats; impossible categories count 0, also in the gradient."""
    log_probs = jax.nn.log_softmax(logits, axis=-1)
    is_possible = jnp.isfinite(log_probs)
    log_probs = jnp.where(is_possible, log_probs, 0.0)
    terms = jnp.where(is_possible, jnp.exp(log_probs) * log_probs, 0.0)
    return jnp.negative(jnp.sum(terms, axis=-1))


def _draw(key: Any, logits: Array, n: int) -> Array:
    logits = jnp.broadcast_to(logits, (n, *logits.shape))
    return jax.random.categorical(key, logits, axis=-1).astype(jnp.int32)
