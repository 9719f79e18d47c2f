"""Schedules of token diffusion: alpha(t), the probability that a token is still there, from 1 at t = 0 on down.

The bounds of masked diffusion depend on alpha(1) alone, not on the way there; a schedule then says where a training
batch and the sampler's steps lie, and how noisy the estimate of the bound is.

Sources: Shi et al. 2024, arXiv:2406.04329, table 4; Sahoo et al. 2024, arXiv:2406.07524, section 3.4. `lost` is given
beside `alpha`, because 1 - alpha in float32 is off by parts near the data.
"""

import abc
from functools import singledispatch

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import (
    CosineTokenScheduleConfig,
    LinearTokenScheduleConfig,
    LogLinearTokenScheduleConfig,
    PolynomialTokenScheduleConfig,
    TokenScheduleConfig,
)

Times = Float[Array, "..."]


class AbstractTokenSchedule(eqx.Module):
    """alpha(t) for t in [0, 1], with alpha(0) = 1, falling."""

    @abc.abstractmethod
    def alpha(self, t: Times) -> Times:
        """Probability that a token is still there."""

    @abc.abstractmethod
    def lost(self, t: Times) -> Times:
        """1 - alpha(t), to full relative precision."""

    @abc.abstractmethod
    def slope(self, t: Times) -> Times:
        """-d alpha / dt, at least 0."""


class LinearTokenSchedule(AbstractTokenSchedule):
    """alpha = 1 - t."""

    def alpha(self, t: Times) -> Times:
        """Falls by t."""
        return 1.0 - t

    def lost(self, t: Times) -> Times:
        """Time itself."""
        return t * 1.0

    def slope(self, t: Times) -> Times:
        """One."""
        return jnp.ones_like(t)


class CosineTokenSchedule(AbstractTokenSchedule):
    """alpha = 1 - cos((1 - t) pi / 2) = 2 sin^2((1 - t) pi / 4)."""

    def alpha(self, t: Times) -> Times:
        """In the form that is exact near t = 1."""
        return 2.0 * jnp.sin(0.25 * jnp.pi * (1.0 - t)) ** 2

    def lost(self, t: Times) -> Times:
        """sin(t pi / 2)."""
        return jnp.sin(0.5 * jnp.pi * t)

    def slope(self, t: Times) -> Times:
        """Pi / 2 cos(t pi / 2)."""
        return 0.5 * jnp.pi * jnp.cos(0.5 * jnp.pi * t)


class PolynomialTokenSchedule(AbstractTokenSchedule):
    """alpha = 1 - t^exponent.

    Attributes:
        exponent: 1 is linear.
    """

    exponent: float = eqx.field(static=True, default=2.0)

    def alpha(self, t: Times) -> Times:
        """In the form that is exact near t = 1."""
        return -jnp.expm1(self.exponent * jnp.log(t))

    def lost(self, t: Times) -> Times:
        """t^exponent."""
        return t**self.exponent

    def slope(self, t: Times) -> Times:
        """Exponent t^(exponent - 1)."""
        return self.exponent * t ** (self.exponent - 1.0)


class LogLinearTokenSchedule(AbstractTokenSchedule):
    """alpha = 1 - (1 - epsilon) t, so at t = 1 a part epsilon of the tokens is still there.

    Attributes:
        epsilon: that part.
    """

    epsilon: float = eqx.field(static=True, default=1e-3)

    def alpha(self, t: Times) -> Times:
        """Falls to epsilon."""
        return (1.0 - t) + self.epsilon * t

    def lost(self, t: Times) -> Times:
        """Rises to 1 - epsilon."""
        return (1.0 - self.epsilon) * t

    def slope(self, t: Times) -> Times:
        """1 - epsilon."""
        return jnp.full_like(t, 1.0 - self.epsilon)


@singledispatch
def make_token_schedule(config: TokenScheduleConfig) -> AbstractTokenSchedule:
    """The schedule that a config describes."""
    raise LookupError(
        f"no schedule is registered for {type(config).__name__}; use @make_token_schedule.register"
    )


@make_token_schedule.register
def _(config: LinearTokenScheduleConfig) -> AbstractTokenSchedule:
    return LinearTokenSchedule()


@make_token_schedule.register
def _(config: CosineTokenScheduleConfig) -> AbstractTokenSchedule:
    return CosineTokenSchedule()


@make_token_schedule.register
def _(config: PolynomialTokenScheduleConfig) -> AbstractTokenSchedule:
    return PolynomialTokenSchedule(config.exponent)


@make_token_schedule.register
def _(config: LogLinearTokenScheduleConfig) -> AbstractTokenSchedule:
    return LogLinearTokenSchedule(config.epsilon)
