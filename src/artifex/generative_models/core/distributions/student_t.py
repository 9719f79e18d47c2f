"""Student's t-distribution: tails that fall as a power, for data with outliers."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.base import AbstractEntries
from artifex.generative_models.core.distributions.special import derivative, log_gamma_half_step

# From here on `log1p(w^2)` is written as `2 log(w) + log1p(1 / w^2)`, because w^2 may overflow.
_FAR = 1e3


class StudentT(AbstractEntries):
    """Independent entries with density proportional to `(1 + z^2 / df)^(-(df + 1) / 2)`, `z = (x - loc) / scale`.

    Args:
        loc: centres.
        scale: positive, same shape.
        df: degrees of freedom, positive, same shape; large ones make it a normal distribution.
    """

    loc: Float[Array, "..."]
    scale: Float[Array, "..."]
    df: Float[Array, "..."]

    def log_prob(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """Log-density in nats."""
        w = (value - self.loc) / self.scale / jnp.sqrt(self.df)
        is_far = jnp.abs(w) > _FAR
        far = jnp.where(is_far, jnp.abs(w), _FAR)
        near = jnp.where(is_far, 0.0, w)
        log_term = jnp.where(is_far, 2 * jnp.log(far) + jnp.square(1 / far), jnp.log1p(jnp.square(near)))
        return self._log_peak() - 0.5 * (self.df + 1) * log_term

    def _log_peak(self) -> Float[Array, "..."]:
        return log_gamma_half_step(self.df / 2) - 0.5 * jnp.log(jnp.pi * self.df) - jnp.log(self.scale)

    def _sample_n(self, key: Any, n: int) -> Float[Array, "..."]:
        noise_key, gamma_key = jax.random.split(key)
        half = jnp.broadcast_to(self.df / 2, (n, *self.df.shape))
        noise = jax.random.normal(noise_key, half.shape, half.dtype)
        # In logarithms, because with few degrees of freedom the gamma variable often rounds to 0.
        log_ratio = jax.random.loggamma(gamma_key, half, half.shape, half.dtype) - jnp.log(half)
        return self.loc[None] + self.scale[None] * noise * jnp.exp(-0.5 * log_ratio)

    def distance_to_support(self, value: Float[Array, "..."]) -> Float[Array, "..."]:
        """All finite numbers belong to it."""
        return jnp.where(jnp.isfinite(value), 0.0, jnp.inf)

    def mean(self) -> Float[Array, "..."]:
        """`loc`; NaN where `df <= 1`, as there is no mean."""
        return jnp.where(self.df > 1, self.loc, jnp.nan)

    def mode(self) -> Float[Array, "..."]:
        """`loc`."""
        return self.loc

    def variance(self) -> Float[Array, "..."]:
        """`scale^2 df / (df - 2)`; infinite where `df <= 2`, and NaN where `df <= 1`."""
        is_finite = self.df > 2
        finite = jnp.square(self.scale) / (1 - 2 / jnp.where(is_finite, self.df, 4.0))
        return jnp.where(is_finite, finite, jnp.where(self.df > 1, jnp.inf, jnp.nan))

    def entropy(self) -> Float[Array, "..."]:
        """`(df + 1) / 2 (digamma((df + 1) / 2) - digamma(df / 2))` minus the logarithm of the peak, in nats."""
        step = derivative(log_gamma_half_step, self.df / 2)
        return 0.5 * (self.df + 1) * step - self._log_peak()
