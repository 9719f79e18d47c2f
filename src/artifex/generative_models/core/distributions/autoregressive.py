"""Distributions of sequences, one element given those before: p(x) = prod p(x_i | x_1, ..., x_{i-1})."""

from collections.abc import Callable
from typing import Any

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.support import distance_to_support


class Autoregressive(distrax.Distribution):
    """Sequences of `length` elements.

    What a conditional distribution sees of the elements from its own on is 0, in `log_prob` as in samples; so the
    order holds for any function. `log_prob` evaluates it for all elements at once, on `length` copies of the
    sequence; samples take one scan.

    Args:
        conditional: `(sequence, index, condition)` to the distribution of element `index`, a traced integer. The
            sequence has the shape `(length, *element_shape)`.
        length: number of elements, at least 1.
        element_shape: shape of one element.
        condition: passed on to `conditional`.
        dtype: of the elements.

    >>> from artifex.generative_models.core.distributions import normal
    >>> def walk(sequence, index, condition):
    ...     return normal(jnp.where(index == 0, 0.0, sequence[index - 1]), 1.0)
    >>> Autoregressive(walk, 5).sample(seed=jax.random.key(0)).shape
    (5,)
    """

    def __init__(
        self,
        conditional: Callable[[Array, Array, Any], distrax.Distribution],
        length: int,
        element_shape: tuple[int, ...] = (),
        *,
        condition: Any = None,
        dtype: Any = jnp.float32,
    ):
        if length < 1:
            raise ValueError(f"`length` must be at least 1; got {length}")
        self.conditional = conditional
        self.length = length
        self.element_shape = element_shape
        self.condition = condition
        self.element_dtype = jnp.dtype(dtype).name

    @property
    def event_shape(self) -> tuple[int, ...]:
        """One sequence."""
        return (self.length, *self.element_shape)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """None: it is one event."""
        return ()

    def _at(self, sequence: Array, index: Array) -> distrax.Distribution:
        """The distribution of element `index`; of the sequence it sees what is before."""
        is_before = jnp.arange(self.length) < index
        is_before = is_before.reshape(self.length, *(1 for _ in self.element_shape))
        distribution = self.conditional(jnp.where(is_before, sequence, 0), index, self.condition)
        if distribution.event_shape != self.element_shape or distribution.batch_shape:
            raise ValueError(
                f"`conditional` must give distributions of one element, of shape {self.element_shape}; got the event "
                f"shape {distribution.event_shape} and the batch shape {distribution.batch_shape}"
            )
        return distribution

    def log_prob(self, value: Array) -> Float[Array, ""]:
        """Sum of the elements' log-probabilities, in nats."""
        log_probs = jax.vmap(lambda index, element: self._at(value, index).log_prob(element))(
            jnp.arange(self.length), value
        )
        return jnp.sum(log_probs)

    def _sample_n(self, key: Any, n: int) -> Array:
        return self._sample_n_and_log_prob(key, n)[0]

    def _sample_n_and_log_prob(self, key: Any, n: int) -> tuple[Array, Float[Array, " n"]]:
        return jax.vmap(self._sample_one)(jax.random.split(key, n))

    def _sample_one(self, key: Any) -> tuple[Array, Array]:
        def add(sequence: Array, inputs: tuple[Array, Array]) -> tuple[Array, Array]:
            index, key = inputs
            element, log_prob = self._at(sequence, index).sample_and_log_prob(seed=key)
            return sequence.at[index].set(element.astype(sequence.dtype)), jnp.asarray(log_prob)

        start = jnp.zeros(self.event_shape, self.element_dtype)
        inputs = (jnp.arange(self.length), jax.random.split(key, self.length))
        sequence, log_probs = jax.lax.scan(add, start, inputs)
        return sequence, jnp.sum(log_probs)

    def distance_to_support(self, value: Array) -> Float[Array, ""]:
        """The largest of an element, given those before."""
        distances = jax.vmap(lambda index, element: distance_to_support(self._at(value, index), element))(
            jnp.arange(self.length), value
        )
        return jnp.max(distances)
