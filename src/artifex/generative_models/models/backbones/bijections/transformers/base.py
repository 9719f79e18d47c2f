"""Increasing maps of one number, with a vector of parameters that a network gives.

A coupling or autoregressive layer applies one to each entry, with its own parameters: y_i = f(x_i; theta_i). They
take any parameters, of any size: positive numbers, shares of an interval and the like are made of them inside.

Numbers may have any axes, the same for all, and vectors of parameters have theirs before those: a map is applied at
every place.
"""

import abc
from functools import singledispatch
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import ScalarTransformerConfig

Scalar = Float[Array, "*shape"]
Parameters = Float[Array, "num_parameters *shape"]


class AbstractTransformer(eqx.Module):
    """An increasing map of one number, at each place of an array.

    Attributes:
        num_parameters: length of the vector of parameters.
        is_periodic: whether the numbers are angles.
    """

    is_periodic: ClassVar[bool] = False

    num_parameters: eqx.AbstractVar[int]

    @abc.abstractmethod
    def forward_and_log_derivative(self, x: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """Y and log dy/dx."""

    @abc.abstractmethod
    def inverse_and_log_derivative(self, y: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """X and log dx/dy."""


def network_inputs(x: Float[Array, "size *shape"], is_periodic: bool) -> Float[Array, "inputs *shape"]:
    """What a network sees of entries: themselves; of angles cosines, then sines, which close the circle."""
    return jnp.concatenate([jnp.cos(x), jnp.sin(x)]) if is_periodic else x


@singledispatch
def make_transformer(config: ScalarTransformerConfig) -> AbstractTransformer:
    """The map that a config describes."""
    raise LookupError(f"no map is registered for {type(config).__name__}; use @make_transformer.register")
