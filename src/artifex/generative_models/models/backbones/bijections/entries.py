"""Each entry mapped by itself, with parameters of its own."""

import math

import equinox as eqx
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import ScalarTransformerConfig
from artifex.generative_models.models.backbones.bijections.base import (
    AbstractUnconditionalBijection,
    Condition,
    Example,
    LogDet,
    log_det_sum,
)
from artifex.generative_models.models.backbones.bijections.transformers import (
    AbstractTransformer,
    make_transformer,
)
from artifex.generative_models.models.backbones.weights import normal_weights


class ElementwiseTransformer(AbstractUnconditionalBijection):
    """y_i = f(x_i; theta_i) with trained theta: what a flow in one dimension is, and marginals of one in more."""

    parameters: Float[Array, "entries num_parameters"]
    transformer: AbstractTransformer
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        config: ScalarTransformerConfig,
        event_shape: tuple[int, ...],
        *,
        scale: float = 0.1,
        key: Key[Array, ""],
    ):
        """Build it.

        Args:
            config: of the map.
            event_shape: shape of one example.
            scale: standard deviation of the parameters.
            key: randomness of the parameters.
        """
        self.transformer = make_transformer(config)
        shape = (math.prod(event_shape), self.transformer.num_parameters)
        self.parameters = normal_weights(shape, scale, key=key)
        self.event_shape = event_shape

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        y, log_derivatives = self.transformer.forward_and_log_derivative(x.ravel(), self.parameters.T)
        return y.reshape(x.shape), log_det_sum(log_derivatives)

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        x, log_derivatives = self.transformer.inverse_and_log_derivative(y.ravel(), self.parameters.T)
        return x.reshape(y.shape), log_det_sum(log_derivatives)
