"""Likelihoods: from a network's output to the distribution of one example."""

import abc
import math
from functools import singledispatch

import distrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import (
    BernoulliConfig,
    DiscretizedLogisticConfig,
    LaplaceConfig,
    LikelihoodConfig,
    NormalConfig,
)
from artifex.generative_models.core.distributions.events import (
    bernoulli,
    discretized_logistic,
    laplace,
    normal,
)


class AbstractLikelihood(eqx.Module):
    """Makes p(x | output). A network for events of shape `(channels, ...)` puts out
    `(num_parameters * channels, ...)`: all locations first, then all scales.
    """

    event_shape: eqx.AbstractVar[tuple[int, ...]]
    num_parameters: eqx.AbstractVar[int]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Shape of the network's output."""
        return (self.num_parameters * self.event_shape[0], *self.event_shape[1:])

    @abc.abstractmethod
    def __call__(self, output: Float[Array, "..."]) -> distrax.Distribution:
        """Distribution of one example, given the network's output of shape `output_shape`."""

    @abc.abstractmethod
    def output_for_mean(self, mean: Float[Array, "..."]) -> Float[Array, "..."]:
        """A network output for which the distribution is centred on `mean`, of shape `event_shape`."""


class BernoulliLikelihood(AbstractLikelihood):
    """The output holds logits."""

    event_shape: tuple[int, ...] = eqx.field(static=True)
    num_parameters: int = eqx.field(static=True, default=1)

    def __call__(self, output: Float[Array, "..."]) -> distrax.Distribution:
        """Independent entries in {0, 1}."""
        return bernoulli(output)

    def output_for_mean(self, mean: Float[Array, "..."]) -> Float[Array, "..."]:
        """Logits of the mean, kept within those of 0.001 and 0.999, as an entry may never change in the data."""
        mean = jnp.clip(mean, 1e-3, 1.0 - 1e-3)
        return jnp.log(mean) - jnp.log1p(-mean)


class Scale(eqx.Module):
    """Where a likelihood's scale comes from: `min_scale + softplus(raw)`, or a fixed number.

    With a raw value of 0 in the output, a predicted scale has its starting value.
    """

    raw: Float[Array, ""] | None
    start: float = eqx.field(static=True)
    min_scale: float = eqx.field(static=True)
    is_predicted: bool = eqx.field(static=True)

    def __init__(self, start: float, min_scale: float, source: str):
        self.start = start
        self.min_scale = min_scale
        self.is_predicted = source == "predicted"
        self.raw = jnp.zeros(()) if source == "learned" else None

    @property
    def num_parameters(self) -> int:
        """Network outputs for each entry, with the location."""
        return 2 if self.is_predicted else 1

    def split(self, output: Array) -> tuple[Array, Array]:
        """Locations, and scales that broadcast to them."""
        if self.is_predicted:
            loc, raw = jnp.split(output, 2, axis=0)
            return loc, self._positive(raw, loc)
        if self.raw is not None:
            return output, self._positive(self.raw, output)
        return output, jnp.full_like(output, self.start)

    def _positive(self, raw: Array, like: Array) -> Array:
        excess = self.start - self.min_scale
        offset = excess + math.log(-math.expm1(-excess))  # softplus(offset) = excess
        return self.min_scale + jax.nn.softplus(raw.astype(like.dtype) + offset)


class NormalLikelihood(AbstractLikelihood):
    """The output holds means, and scales if they are predicted."""

    event_shape: tuple[int, ...] = eqx.field(static=True)
    num_parameters: int = eqx.field(static=True)
    scale: Scale

    def __init__(self, config: NormalConfig, event_shape: tuple[int, ...]):
        self.event_shape = event_shape
        self.scale = Scale(config.scale, config.min_scale, config.scale_source)
        self.num_parameters = self.scale.num_parameters

    def __call__(self, output: Float[Array, "..."]) -> distrax.Distribution:
        """Independent normal entries."""
        return normal(*self.scale.split(output))

    def output_for_mean(self, mean: Float[Array, "..."]) -> Float[Array, "..."]:
        """The mean itself, with the scale at its start."""
        return _with_zero_scales(mean, self.num_parameters)


class LaplaceLikelihood(AbstractLikelihood):
    """The output holds means, and scales if they are predicted."""

    event_shape: tuple[int, ...] = eqx.field(static=True)
    num_parameters: int = eqx.field(static=True)
    scale: Scale

    def __init__(self, config: LaplaceConfig, event_shape: tuple[int, ...]):
        self.event_shape = event_shape
        self.scale = Scale(config.scale, config.min_scale, config.scale_source)
        self.num_parameters = self.scale.num_parameters

    def __call__(self, output: Float[Array, "..."]) -> distrax.Distribution:
        """Independent Laplace entries."""
        return laplace(*self.scale.split(output))

    def output_for_mean(self, mean: Float[Array, "..."]) -> Float[Array, "..."]:
        """The mean itself, with the scale at its start."""
        return _with_zero_scales(mean, self.num_parameters)


class DiscretizedLogisticLikelihood(AbstractLikelihood):
    """The output holds locations in units of the data, and scales if they are predicted."""

    config: DiscretizedLogisticConfig = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    num_parameters: int = eqx.field(static=True)
    scale: Scale

    def __init__(self, config: DiscretizedLogisticConfig, event_shape: tuple[int, ...]):
        self.config = config
        self.event_shape = event_shape
        self.scale = Scale(config.scale, config.min_scale, config.scale_source)
        self.num_parameters = self.scale.num_parameters

    def __call__(self, output: Float[Array, "..."]) -> distrax.Distribution:
        """Independent entries on the grid."""
        loc, scale = self.scale.split(output)
        return discretized_logistic(loc, scale, self.config.low, self.config.high, self.config.num_levels)

    def output_for_mean(self, mean: Float[Array, "..."]) -> Float[Array, "..."]:
        """The mean itself, with the scale at its start."""
        return _with_zero_scales(mean, self.num_parameters)


def _with_zero_scales(mean: Array, num_parameters: int) -> Array:
    return mean if num_parameters == 1 else jnp.concatenate([mean, jnp.zeros_like(mean)], axis=0)


@singledispatch
def make_likelihood(config: LikelihoodConfig, event_shape: tuple[int, ...]) -> AbstractLikelihood:
    """The likelihood that a config describes.

    Args:
        config: which one.
        event_shape: shape of one example, channels first.
    """
    raise LookupError(
        f"no likelihood is registered for {type(config).__name__}; use @make_likelihood.register"
    )


@make_likelihood.register
def _(config: BernoulliConfig, event_shape: tuple[int, ...]) -> AbstractLikelihood:
    return BernoulliLikelihood(event_shape)


@make_likelihood.register
def _(config: NormalConfig, event_shape: tuple[int, ...]) -> AbstractLikelihood:
    return NormalLikelihood(config, event_shape)


@make_likelihood.register
def _(config: LaplaceConfig, event_shape: tuple[int, ...]) -> AbstractLikelihood:
    return LaplaceLikelihood(config, event_shape)


@make_likelihood.register
def _(config: DiscretizedLogisticConfig, event_shape: tuple[int, ...]) -> AbstractLikelihood:
    return DiscretizedLogisticLikelihood(config, event_shape)
