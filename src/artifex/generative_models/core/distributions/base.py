"""What all distributions have in common.

They are `distrax.Distribution`s, so all that takes one takes these, and Equinox modules with arrays as leaves, so
`jit`, `vmap`, `scan` and `grad` see through them, also where a distribution is built or returned inside. Their own
arithmetic never relies on promotion of ranks, and what distrax computes otherwise (a normal under strict promotion,
samples of a Laplace, logarithms of gamma functions that cancel in float32) is written out here.
"""

import abc
from typing import Any

import distrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractDistribution(eqx.Module, distrax.Distribution):
    """A distribution whose arrays all have the batch axes first, then axes of the event."""

    @abc.abstractmethod
    def distance_to_support(self, value: Array) -> Float[Array, "..."]:
        """How far each event lies outside of the support, in its largest entry; 0 for one inside."""

    def _sample_n_and_log_prob(self, key: Any, n: int) -> tuple[Array, Float[Array, "n ..."]]:
        samples = jnp.asarray(self._sample_n(key, n))
        return samples, jnp.asarray(jax.vmap(self.log_prob)(samples))


class AbstractEntries(AbstractDistribution):
    """Independent scalar entries, all of them batch axes; functions as `normal` make event axes of them.

    Every field that is an array has the same shape.
    """

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Scalars."""
        return ()

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the parameters."""
        return jax.tree.leaves(self)[0].shape
