"""Better starting points than random ones, made from data: pure functions from a model to a model."""

import functools
from collections.abc import Callable
from typing import TypeVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from artifex.generative_models.models.backbones import ConvDecoder, MLPDecoder
from artifex.generative_models.models.vae.base import AbstractVAE
from artifex.generative_models.models.vae.gaussian import VAE
from artifex.generative_models.models.vae.priors import VampPrior

VAET = TypeVar("VAET", bound=AbstractVAE)


def initialize_output_bias(model: VAET, mean: Float[Array | np.ndarray, "..."]) -> VAET:
    """The model with the decoder's last bias such that p(x|z) starts around the mean of the data.

    Without this the first hundred steps are spent on the bias. A convolutional decoder has one bias for each
    channel, so there it is the mean over the image.

    Source: Burda et al. 2016, arXiv:1509.00519, whose code does it.

    Args:
        model: the model.
        mean: mean of the training examples, shape `event_shape`.

    Raises:
        ValueError: `mean` has another shape, or is not finite.
    """
    mean = jnp.asarray(mean, jnp.float32)
    if mean.shape != model.config.event_shape:
        raise ValueError(
            f"`mean` must have the shape {model.config.event_shape} of one example; got {mean.shape}"
        )
    if not bool(jnp.isfinite(mean).all()):
        raise ValueError("`mean` must be finite; the data hold NaN or infinity")
    output = model.likelihood.output_for_mean(mean)
    return eqx.tree_at(lambda model: model.decoder, model, _with_output_bias(model.decoder, output))


@functools.singledispatch
def _with_output_bias(decoder: Callable[..., Array], output: Float[Array, "..."]) -> Callable[..., Array]:
    raise TypeError(
        f"{type(decoder).__name__} has no known output bias: initialize_output_bias cannot set it"
    )


@_with_output_bias.register
def _(decoder: MLPDecoder, output: Float[Array, "..."]) -> Callable[..., Array]:
    return eqx.tree_at(lambda decoder: decoder.mlp.out.bias, decoder, output.ravel())


@_with_output_bias.register
def _(decoder: ConvDecoder, output: Float[Array, "..."]) -> Callable[..., Array]:
    old = decoder.grid.up[-1].bias
    # Each channel of the image is made of four channels of the last convolution, next to each other.
    bias = jnp.repeat(output.mean(axis=(1, 2)), 4).reshape(old.shape)
    return eqx.tree_at(lambda decoder: decoder.grid.up[-1].bias, decoder, bias)


def initialize_pseudo_inputs(model: VAE, x: Float[Array | np.ndarray, "components ..."]) -> VAE:
    """The model with a VampPrior whose pseudo-inputs start at given examples.

    Args:
        model: a model with a VampPrior.
        x: as many examples as the prior has components, shape `(num_components, *event_shape)`.

    Raises:
        TypeError: the model has another prior.
        ValueError: `x` has another shape.
    """
    if not isinstance(model.prior, VampPrior):
        raise TypeError(f"only a VampPrior has pseudo-inputs; the model has a {type(model.prior).__name__}")
    shape = model.prior.pseudo_inputs.shape
    if x.shape != shape:
        raise ValueError(f"`x` must have shape {shape}; got {x.shape}")
    return eqx.tree_at(lambda model: model.prior.pseudo_inputs, model, jnp.asarray(x, jnp.float32))
