"""Posteriors over one vector of latents. Each is built into a distribution from the encoder's output for an example.

A flow gives z = f(z_0; c) of z_0 ~ N(mu, sigma), with mu, sigma and c all the encoder's output, and so

    log q(z|x) = log N(z_0; mu, sigma) - log |det dz/dz_0|,

known for the posterior's own samples without the inverse of f. Source: Rezende & Mohamed 2015, arXiv:1505.05770,
equation 9; Kingma et al. 2016 (IAF), arXiv:1606.04934.
"""

import abc
import functools

import distrax
import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import (
    BijectionConfig,
    FlowPosteriorConfig,
    NormalPosteriorConfig,
    PosteriorConfig,
)
from artifex.generative_models.core.distributions import Transformed, normal_from_output
from artifex.generative_models.models.backbones.bijections import AbstractBijection, make_bijection


class AbstractPosterior(eqx.Module):
    """q(z|x), as a function of the encoder's output.

    Attributes:
        output_size: numbers that the encoder must give.
    """

    output_size: eqx.AbstractVar[int]

    @abc.abstractmethod
    def distribution(self, output: Float[Array, " output_size"]) -> distrax.Distribution:
        """The posterior of one example."""

    @abc.abstractmethod
    def centre(self, output: Float[Array, " output_size"]) -> Float[Array, " latent"]:
        """Latents that stand for the example where only one vector of them is wanted."""


class NormalPosterior(AbstractPosterior):
    """Independent latents: the output holds means, then what `softplus` makes the scales."""

    latent_size: int = eqx.field(static=True)

    def __init__(self, latent_size: int):
        """Of so many latents."""
        self.latent_size = latent_size

    @property
    def output_size(self) -> int:
        """Means and scales."""
        return 2 * self.latent_size

    def distribution(self, output: Float[Array, " output_size"]) -> distrax.Distribution:
        """N(mean, scale)."""
        return normal_from_output(output)

    def centre(self, output: Float[Array, " output_size"]) -> Float[Array, " latent"]:
        """The mean."""
        return jnp.asarray(normal_from_output(output).mean())


class FlowPosterior(AbstractPosterior):
    """A bijection of independent normal latents: the output holds theirs, then the bijection's condition."""

    bijection: AbstractBijection
    context_size: int = eqx.field(static=True)

    def __init__(self, config: FlowPosteriorConfig, latent_size: int, *, key: Key[Array, ""]):
        """Random weights.

        Args:
            config: the bijection.
            latent_size: number of latents.
            key: randomness of the weights.

        Raises:
            ValueError: the bijection takes no condition although there is one, or changes the number of latents.
        """
        self.bijection = latent_bijection(
            config.bijection, latent_size, condition_size=config.context_size, key=key
        )
        if config.context_size and not self.bijection.condition_size:
            raise ValueError(
                f"the encoder gives a condition of `context_size` {config.context_size}, but no layer of `bijection` "
                "takes one: set it to 0, or use a layer that does, such as `masked_autoregressive`"
            )
        self.context_size = config.context_size

    @property
    def output_size(self) -> int:
        """Means, scales and condition."""
        return 2 * self.bijection.event_shape[0] + self.context_size

    def distribution(self, output: Float[Array, " output_size"]) -> distrax.Distribution:
        """That of f(z_0; c)."""
        start, context = self._split(output)
        return Transformed(normal_from_output(start), self.bijection, context)

    def centre(self, output: Float[Array, " output_size"]) -> Float[Array, " latent"]:
        """f(mu; c), the median of each latent where f maps each by itself, and no mean in general."""
        start, context = self._split(output)
        return self.bijection.forward(jnp.asarray(normal_from_output(start).mean()), context)

    def _split(self, output: Array) -> tuple[Array, Array | None]:
        size = 2 * self.bijection.event_shape[0]
        return output[:size], output[size:] if self.context_size else None


def latent_bijection(
    config: BijectionConfig, latent_size: int, *, condition_size: int = 0, key: Key[Array, ""]
) -> AbstractBijection:
    """The bijection of a config on vectors of latents.

    Args:
        config: its layers.
        latent_size: number of latents.
        condition_size: length of its condition vector; 0: unconditional.
        key: randomness of its weights.

    Raises:
        ValueError: it changes the number of latents, or the layers do not fit it.
    """
    shape = (latent_size,)
    bijection = make_bijection(config, shape, condition_size=condition_size, key=key)
    if bijection.out_shape != shape:
        raise ValueError(
            f"`bijection` must map vectors of {latent_size} latents to such vectors; it leads to shape "
            f"{bijection.out_shape}"
        )
    return bijection


@functools.singledispatch
def make_posterior(config: PosteriorConfig, latent_size: int, *, key: Key[Array, ""]) -> AbstractPosterior:
    """The posterior that a config describes.

    Args:
        config: which one. Register another kind with `make_posterior.register`.
        latent_size: number of latents.
        key: randomness of its parameters.
    """
    raise LookupError(f"no posterior is registered for {type(config).__name__}; use @make_posterior.register")


@make_posterior.register
def _(config: NormalPosteriorConfig, latent_size: int, *, key: Key[Array, ""]) -> AbstractPosterior:
    return NormalPosterior(latent_size)


@make_posterior.register
def _(config: FlowPosteriorConfig, latent_size: int, *, key: Key[Array, ""]) -> AbstractPosterior:
    return FlowPosterior(config, latent_size, key=key)
