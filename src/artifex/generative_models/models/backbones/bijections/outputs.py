"""What the layers of a bijection make of an example, one after the other."""

from functools import singledispatch

import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.models.backbones.bijections.base import AbstractBijection, Condition, Example
from artifex.generative_models.models.backbones.bijections.compose import (
    Chain,
    ScannedBijection,
    condition_of,
)


@singledispatch
def layer_outputs(
    bijection: AbstractBijection, x: Example, condition: Condition | None = None
) -> Float[Array, "layers size"]:
    """What leaves each layer on the way from latent to data, flattened; the last is the result of the forward map.

    Chains and scans are taken apart; each layer of a scan, which may be a chain itself, is one layer.

    Args:
        bijection: any.
        x: example of shape `event_shape`.
        condition: vector of `condition_size` numbers; None for an unconditional bijection.
    """
    return bijection.forward(x, condition).ravel()[None]


@layer_outputs.register
def _(bijection: Chain, x: Example, condition: Condition | None = None) -> Float[Array, "layers size"]:
    outputs = []
    for part in bijection.bijections:
        outputs.append(layer_outputs(part, x, condition_of(part, condition)))
        x = outputs[-1][-1].reshape(part.out_shape)
    return jnp.concatenate(outputs)


@layer_outputs.register
def _(
    bijection: ScannedBijection, x: Example, condition: Condition | None = None
) -> Float[Array, "layers size"]:
    def step(layer: AbstractBijection, x: Example, _: None) -> tuple[Example, Example]:
        y = layer.forward(x, condition)
        return y, y.ravel()

    return bijection.stack.scan(step, x, None)[1]
