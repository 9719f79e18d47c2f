"""Distributions made by a bijection from a simpler one: the change of variables."""

from typing import Any, Protocol, runtime_checkable

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.divergences import (
    check_same_events,
    kl_divergence,
    no_closed_form,
)
from artifex.generative_models.core.distributions.support import distance_to_support


@runtime_checkable
class Bijection(Protocol):
    """An invertible map of one example, which may depend on a condition."""

    def forward_and_log_det(self, x: Any, condition: Any = None) -> tuple[Any, Any]:
        """From base to data: y and `log |det dy/dx|`."""
        ...

    def inverse_and_log_det(self, y: Any, condition: Any = None) -> tuple[Any, Any]:
        """From data to base: x and `log |det dx/dy|`."""
        ...


class Transformed(distrax.Distribution):
    """The distribution of `y = bijection(x)`, for x from a base distribution.

    Its entropy, mean and mode have no closed form: see `monte_carlo_entropy`.

    Args:
        base: distribution of one event.
        bijection: from base to data.
        condition: what the bijection depends on; None: on nothing.
    """

    def __init__(self, base: distrax.Distribution, bijection: Bijection, condition: Array | None = None):
        if base.batch_shape:
            raise ValueError(
                f"`base` must be the distribution of one event; got the batch shape {base.batch_shape}. Build it "
                "without `batch_ndims`, and `vmap` for more."
            )
        self.base = base
        self.bijection = bijection
        self.condition = condition

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of what the bijection returns."""
        x = jax.ShapeDtypeStruct(self.base.event_shape, self.base.dtype)
        return jax.eval_shape(lambda x: self._forward(x)[0], x).shape

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """None: it is one event."""
        return ()

    def log_prob(self, value: Array) -> Float[Array, ""]:
        """`log p_base(x) + log |det dx/dy|`, in nats."""
        x, log_det = self.bijection.inverse_and_log_det(value, self.condition)
        return jnp.add(self.base.log_prob(x), log_det)

    def _forward(self, x: Array) -> tuple[Array, Array]:
        return self.bijection.forward_and_log_det(x, self.condition)

    def _sample_n(self, key: Any, n: int) -> Array:
        return jax.vmap(self._forward)(self.base.sample(seed=key, sample_shape=(n,)))[0]

    def _sample_n_and_log_prob(self, key: Any, n: int) -> tuple[Array, Float[Array, " n"]]:
        """Without the inverse."""
        x, log_probs = self.base.sample_and_log_prob(seed=key, sample_shape=(n,))
        y, log_dets = jax.vmap(self._forward)(x)
        return y, jnp.subtract(log_probs, log_dets)

    def distance_to_support(self, value: Array) -> Float[Array, ""]:
        """Infinite where the bijection has no finite inverse; otherwise that of the base, in its units."""
        x, log_det = self.bijection.inverse_and_log_det(value, self.condition)
        has_inverse = jnp.all(jnp.isfinite(x)) & jnp.isfinite(log_det)
        return jnp.where(has_inverse, distance_to_support(self.base, x), jnp.inf)


@kl_divergence.register
def _(p: Transformed, q: distrax.Distribution) -> Float[Array, ""]:
    """That of the bases, where both go through the same bijection with the same condition."""
    if not isinstance(q, Transformed) or p.bijection is not q.bijection or p.condition is not q.condition:
        raise no_closed_form(p, q)
    check_same_events(p.base, q.base)
    return kl_divergence(p.base, q.base)
