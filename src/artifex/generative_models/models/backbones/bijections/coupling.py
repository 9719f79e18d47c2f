"""Coupling layers of vectors.

Source: Dinh et al. 2017 (RealNVP), arXiv:1605.08803, section 3; with splines Durkan et al. 2019, arXiv:1906.04032.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import CouplingLayerConfig
from artifex.generative_models.models.backbones.bijections.base import (
    AbstractSameShapeBijection,
    check_vector_shape,
    log_det_sum,
)
from artifex.generative_models.models.backbones.bijections.batch_last import batch_last
from artifex.generative_models.models.backbones.bijections.transformers import (
    AbstractTransformer,
    make_transformer,
    network_inputs,
)
from artifex.generative_models.models.backbones.layers import uniform_linear
from artifex.generative_models.models.backbones.mlp import MLP

Vectors = Float[Array, "_ *batch"]
LogDets = Float[Array, "*batch"]


class Coupling(AbstractSameShapeBijection):
    """Entries under the mask are mapped, y_i = f(x_i; theta_i), with theta an MLP's of the others and the condition.

    Attributes:
        conditioner: the MLP; its output is small at first, so that most maps begin near the identity.
        transformer: f.
        mask: which entries are mapped.
    """

    conditioner: MLP
    transformer: AbstractTransformer
    mask: tuple[bool, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: CouplingLayerConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int = 0,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            config: mask, map and sizes.
            event_shape: (size,).
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the weights.

        Raises:
            ValueError: the mask has another length than examples, or maps none or all of the entries.
        """
        size = check_vector_shape("Coupling", event_shape)
        self.mask = coupling_mask(config.mask, size)
        self.transformer = make_transformer(config.transformer)
        num_mapped = sum(self.mask)
        self.conditioner = MLP(
            (1 + self.transformer.is_periodic) * (size - num_mapped) + condition_size,
            num_mapped * self.transformer.num_parameters,
            hidden_sizes=(config.hidden_size,) * config.num_layers,
            activation=config.activation,
            out_scale=0.1,
            make_layer=uniform_linear,
            key=key,
        )
        self.condition_size = condition_size

    @property
    def event_shape(self) -> tuple[int, ...]:
        """As long as the mask."""
        return (len(self.mask),)

    @batch_last
    def _forward_and_log_det(self, x: Vectors, condition: Vectors | None) -> tuple[Vectors, LogDets]:
        kept, mapped = self._parts(x)
        parameters = self._parameters(kept, condition)
        mapped, log_derivatives = self.transformer.forward_and_log_derivative(mapped, parameters)
        return self._whole(kept, mapped), log_det_sum(log_derivatives, axis=0)

    @batch_last
    def _inverse_and_log_det(self, y: Vectors, condition: Vectors | None) -> tuple[Vectors, LogDets]:
        kept, mapped = self._parts(y)
        parameters = self._parameters(kept, condition)
        mapped, log_derivatives = self.transformer.inverse_and_log_derivative(mapped, parameters)
        return self._whole(kept, mapped), log_det_sum(log_derivatives, axis=0)

    def _parts(self, x: Vectors) -> tuple[Vectors, Vectors]:
        mask = np.asarray(self.mask)
        return _taken(x, np.flatnonzero(~mask)), _taken(x, np.flatnonzero(mask))

    def _whole(self, kept: Vectors, mapped: Vectors) -> Vectors:
        mapped = mapped.astype(kept.dtype)
        if list(self.mask) == sorted(self.mask):
            return jnp.concatenate([kept, mapped])
        if list(self.mask) == sorted(self.mask, reverse=True):
            return jnp.concatenate([mapped, kept])
        order = np.argsort(
            np.asarray(self.mask), stable=True
        )  # places of the kept ones, then of the mapped ones
        return jnp.concatenate([kept, mapped])[np.argsort(order)]

    def _parameters(
        self, kept: Vectors, condition: Vectors | None
    ) -> Float[Array, "num_parameters mapped *batch"]:
        inputs = network_inputs(kept, self.transformer.is_periodic)
        if condition is not None:
            inputs = jnp.concatenate([inputs, condition.astype(kept.dtype)])
        out, num = self.conditioner.out, self.transformer.num_parameters
        # The order of the axes is made in the weights: those of all examples would take longer to turn.
        weight = out.weight.reshape(-1, num, out.weight.shape[1]).swapaxes(0, 1)
        parameters = jnp.tensordot(weight, self.conditioner.last_hidden_first_axis(inputs), 1)
        if out.bias is not None:
            parameters = parameters + out.bias.reshape(-1, num, *[1] * (kept.ndim - 1)).swapaxes(0, 1)
        return parameters.astype(kept.dtype)


def _taken(x: Vectors, places: np.ndarray) -> Vectors:
    """The entries at increasing places; as a slice where they are evenly spaced, whose derivative needs no scatter."""
    steps = np.unique(np.diff(places))
    if len(steps) > 1:
        return x[places]
    return x[places[0] : places[-1] + 1 : int(steps[0]) if len(steps) else 1]


def coupling_mask(mask: str | tuple[bool, ...], size: int) -> tuple[bool, ...]:
    """Which of `size` entries are mapped, by a name or as they are given.

    >>> coupling_mask("last", 3)
    (False, True, True)

    Raises:
        ValueError: the mask is of another length, or maps none or all of the entries.
    """
    if isinstance(mask, str):
        named = {
            "first": lambda i: i < size // 2,
            "last": lambda i: i >= size // 2,
            "even": lambda i: i % 2 == 0,
            "odd": lambda i: i % 2 == 1,
        }
        flags = tuple(named[mask](i) for i in range(size))
    else:
        flags = mask
    if len(flags) != size:
        raise ValueError(f"the mask must have a flag for each of {size} entries; got {len(flags)}")
    if all(flags) or not any(flags):
        raise ValueError(
            f"a mask must map some entries and keep others; {mask!r} maps {sum(flags)} of {size}. Examples of one "
            "entry need an autoregressive layer."
        )
    return flags
