"""A network of one number that increases, because its weights are positive.

With all of a, c, A and the line's slope positive and P's rows positive with sum 1,

    h = tanh(a x + b),   g = tanh(A P h + e),   y = slope x + shift + c . g.

Source: Huang et al. 2018 (NAF), arXiv:1804.00779, section 3.2, deep dense sigmoidal flow. Deviations: tanh and a line
beside it stand for sigmoids between a logit, so that a bound of |y - slope x| is known, which brackets the inverse.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import MonotoneNetworkConfig
from artifex.generative_models.models.backbones.bijections.roots import increasing_root
from artifex.generative_models.models.backbones.bijections.transformers.base import (
    AbstractTransformer,
    Parameters,
    Scalar,
    make_transformer,
)
from artifex.generative_models.models.backbones.bijections.transformers.knots import spread

_ONE = math.log(math.expm1(1.0))  # softplus of it is 1


class MonotoneNetwork(AbstractTransformer):
    """All of the network's weights are parameters; its inverse is found by iteration."""

    config: MonotoneNetworkConfig = eqx.field(static=True)

    def __init__(self, config: MonotoneNetworkConfig):
        """Build it."""
        self.config = config

    @property
    def num_parameters(self) -> int:
        """Five vectors and a matrix of the hidden size; shift and slope."""
        size = self.config.hidden_size
        return size * (size + 5) + 2

    def forward_and_log_derivative(self, x: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """Y and log dy/dx."""
        y, derivative = self._apply(x, parameters)
        return y, jnp.log(derivative)

    def inverse_and_log_derivative(self, y: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """X and log dx/dy."""
        (shift, slope), vectors, _ = self._split(parameters)
        reach = jnp.sum(_out_weights(vectors[4]), axis=0)
        low, high = (y - shift - reach) / slope, (y - shift + reach) / slope
        x = increasing_root(lambda x: self._apply(x, parameters)[0] - y, low, high)
        return x, -jnp.log(self._apply(x, parameters)[1])

    def _split(
        self, parameters: Parameters
    ) -> tuple[tuple[Scalar, Scalar], Float[Array, "5 size *shape"], Float[Array, "size size *shape"]]:
        size, shape = self.config.hidden_size, parameters.shape[1:]
        vectors = parameters[2 : 2 + 5 * size].reshape(5, size, *shape)
        slope = self.config.min_derivative + jax.nn.softplus(parameters[1] + _ONE)
        return (parameters[0], slope), vectors, parameters[2 + 5 * size :].reshape(size, size, *shape)

    def _apply(self, x: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        (shift, slope), vectors, mixing = self._split(parameters)
        # Units that differ where the parameters are all zero, or they would stay alike.
        places = spread(jnp.linspace(-2.0, 2.0, self.config.hidden_size), parameters)
        first, second = jax.nn.softplus(vectors[0] + _ONE), jax.nn.softplus(vectors[2] + _ONE)
        weights, shares = _out_weights(vectors[4]), jax.nn.softmax(mixing, axis=1)
        h = jnp.tanh(first * x[None] + vectors[1] + places)
        g = jnp.tanh(second * _mixed(shares, h) + vectors[3] + 0.5 * places)
        derivatives = second * (1.0 - g**2) * _mixed(shares, first * (1.0 - h**2))
        return (
            slope * x + shift + jnp.sum(weights * g, axis=0),
            slope + jnp.sum(weights * derivatives, axis=0),
        )


def _mixed(
    shares: Float[Array, "size size *shape"], units: Float[Array, "size *shape"]
) -> Float[Array, "size *shape"]:
    return jnp.sum(shares * units[None], axis=1)


def _out_weights(parameters: Parameters) -> Parameters:
    return jax.nn.softplus(parameters - 2.0)


@make_transformer.register
def _(config: MonotoneNetworkConfig) -> AbstractTransformer:
    return MonotoneNetwork(config)
