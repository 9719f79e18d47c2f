"""Coupling layers of sets: vectors whose order means nothing."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import SetCouplingConfig
from artifex.generative_models.models.backbones.bijections.base import (
    AbstractSameShapeBijection,
    Condition,
    Example,
    LogDet,
    log_det_sum,
)
from artifex.generative_models.models.backbones.bijections.coupling import coupling_mask
from artifex.generative_models.models.backbones.bijections.transformers import (
    AbstractTransformer,
    make_transformer,
)
from artifex.generative_models.models.backbones.set_transformer import SetTransformer


class SetCoupling(AbstractSameShapeBijection):
    """Features of every element under the mask are mapped, with parameters made of the others of all elements.

    With the elements in another order, the results are the same in that order: from latents that are exchangeable, the
    density of a set is, too.

    Attributes:
        conditioner: the network, equivariant; its output is small at first, so that most maps begin near the identity.
        transformer: the map of a number.
        mask: which features are mapped.
    """

    conditioner: SetTransformer
    transformer: AbstractTransformer
    mask: tuple[bool, ...] = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: SetCouplingConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int = 0,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            config: mask, map and sizes.
            event_shape: (elements, features).
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the weights.

        Raises:
            ValueError: examples are not sets of vectors; the mask has another length than these, or maps none or all
                of their features.
        """
        if len(event_shape) != 2:
            raise ValueError(
                f"SetCoupling maps sets of vectors, whose `event_shape` is (elements, features); got {event_shape}"
            )
        self.mask = coupling_mask(config.mask, event_shape[1])
        self.transformer = make_transformer(config.transformer)
        num_mapped = sum(self.mask)
        self.conditioner = SetTransformer(
            event_shape[1] - num_mapped,
            num_mapped * self.transformer.num_parameters,
            hidden_size=config.hidden_size,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            condition_size=condition_size,
            out_scale=0.1,
            key=key,
        )
        self.event_shape = event_shape
        self.condition_size = condition_size

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        mapped, log_derivatives = self.transformer.forward_and_log_derivative(*self._mapped(x, condition))
        return self._replaced(x, mapped), log_det_sum(log_derivatives)

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        mapped, log_derivatives = self.transformer.inverse_and_log_derivative(*self._mapped(y, condition))
        return self._replaced(y, mapped), log_det_sum(log_derivatives)

    def _mapped(
        self, x: Float[Array, "elements features"], condition: Condition | None
    ) -> tuple[Float[Array, "elements mapped"], Float[Array, "num_parameters elements mapped"]]:
        """The features under the mask, and the parameters of their maps."""
        mask = np.asarray(self.mask)
        parameters = self.conditioner(x[:, ~mask], condition).reshape(len(x), int(mask.sum()), -1)
        return x[:, mask], jnp.moveaxis(parameters, -1, 0)

    def _replaced(
        self, x: Float[Array, "elements features"], mapped: Float[Array, "elements mapped"]
    ) -> Float[Array, "elements features"]:
        return x.at[:, np.flatnonzero(self.mask)].set(mapped.astype(x.dtype))
