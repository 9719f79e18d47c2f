"""Masked autoregressive layers of vectors.

Source: Kingma et al. 2016 (IAF), arXiv:1606.04934; Papamakarios et al. 2017 (MAF), arXiv:1705.07057; with other maps of
the entries Huang et al. 2018 (NAF), arXiv:1804.00779.
"""

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import MaskedAutoregressiveConfig
from artifex.generative_models.models.backbones.bijections.base import (
    AbstractSameShapeBijection,
    check_vector_shape,
    log_det_sum,
)
from artifex.generative_models.models.backbones.bijections.batch_last import batch_last
from artifex.generative_models.models.backbones.bijections.masked_mlp import MaskedMLP
from artifex.generative_models.models.backbones.bijections.transformers import (
    AbstractTransformer,
    make_transformer,
)

Vectors = Float[Array, "_ *batch"]
LogDets = Float[Array, "*batch"]


class MaskedAutoregressive(AbstractSameShapeBijection):
    """y_i = f(x_i; theta_i), theta_i made of the x before it by a masked MLP.

    The forward map is one pass. The inverse is one compiled loop over the entries, whose steps together do the
    network's arithmetic once (see `MaskedMLP`).

    Attributes:
        conditioner: the network, in the order of dependence.
        transformer: f.
        order: the places of the entries in that order; None: as they come.
    """

    conditioner: MaskedMLP
    transformer: AbstractTransformer
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)
    order: tuple[int, ...] | None = eqx.field(static=True)

    def __init__(
        self,
        config: MaskedAutoregressiveConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int = 0,
        key: Key[Array, ""],
    ):
        """Random weights; most maps begin near the identity.

        Args:
            config: map, sizes and order.
            event_shape: (size,).
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the weights.

        Raises:
            ValueError: the order has another length than examples.
        """
        size = check_vector_shape("MaskedAutoregressive", event_shape)
        if config.order is not None and len(config.order) != size:
            raise ValueError(
                f"`order` must hold each of {size} places of an example once; got {len(config.order)} of them"
            )
        self.transformer = make_transformer(config.transformer)
        self.conditioner = MaskedMLP(
            size,
            self.transformer.num_parameters,
            hidden_size=config.hidden_size,
            num_layers=config.num_layers,
            activation=config.activation,
            condition_size=condition_size,
            is_periodic=self.transformer.is_periodic,
            key=key,
        )
        self.event_shape = event_shape
        self.condition_size = condition_size
        self.order = config.order

    @batch_last
    def _forward_and_log_det(self, x: Vectors, condition: Vectors | None) -> tuple[Vectors, LogDets]:
        x = self._ordered(x)
        parameters = self.conditioner(x, condition)
        y, log_derivatives = self.transformer.forward_and_log_derivative(x, parameters)
        return self._placed(y), log_det_sum(log_derivatives, axis=0)

    @batch_last
    def _inverse_and_log_det(self, y: Vectors, condition: Vectors | None) -> tuple[Vectors, LogDets]:
        step = self.transformer.inverse_and_log_derivative
        x, log_derivatives = self.conditioner.entry_by_entry(step, self._ordered(y), condition)
        return self._placed(x), log_det_sum(log_derivatives, axis=0)

    def _ordered(self, x: Vectors) -> Vectors:
        return x if self.order is None else x[np.asarray(self.order)]

    def _placed(self, x: Vectors) -> Vectors:
        return x if self.order is None else x[np.argsort(self.order)]
