"""Bijections made of bijections."""

import itertools
from collections.abc import Callable, Sequence

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Key

from artifex.generative_models.models.backbones.bijections.base import (
    AbstractBijection,
    AbstractSameShapeBijection,
    Condition,
    Example,
    LogDet,
    log_det_dtype,
)
from artifex.generative_models.models.backbones.stack import Stack


class Chain(AbstractBijection):
    """One bijection after the other: the first one is nearest to the latent.

    The condition goes to those that take one.
    """

    bijections: tuple[AbstractBijection, ...]
    event_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(self, bijections: Sequence[AbstractBijection]):
        """Chain them.

        Raises:
            ValueError: there are none, or shapes or lengths of conditions do not fit.
        """
        if not bijections:
            raise ValueError("a chain needs at least one bijection; got none")
        for index, (first, second) in enumerate(itertools.pairwise(bijections)):
            if first.out_shape != second.event_shape:
                raise ValueError(
                    f"bijection {index} of the chain returns shape {first.out_shape}, but bijection {index + 1} takes "
                    f"shape {second.event_shape}"
                )
        sizes = {bijection.condition_size for bijection in bijections} - {0}
        if len(sizes) > 1:
            raise ValueError(
                f"all conditional parts of a chain share one condition; got lengths {sorted(sizes)}"
            )
        self.bijections = tuple(bijections)
        self.event_shape = bijections[0].event_shape
        self.out_shape = bijections[-1].out_shape
        self.condition_size = sizes.pop() if sizes else 0

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        total = jnp.zeros((), log_det_dtype(x))
        for bijection in self.bijections:
            x, log_det = bijection.forward_and_log_det(x, condition_of(bijection, condition))
            total = total + log_det
        return x, total

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        total = jnp.zeros((), log_det_dtype(y))
        for bijection in reversed(self.bijections):
            y, log_det = bijection.inverse_and_log_det(y, condition_of(bijection, condition))
            total = total + log_det
        return y, total


class Inverted(AbstractBijection):
    """A bijection with its two directions swapped."""

    bijection: AbstractBijection

    def __init__(self, bijection: AbstractBijection):
        """Swap the directions of a bijection."""
        self.bijection = bijection

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Shape of what the forward map takes."""
        return self.bijection.out_shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Shape of what the forward map returns."""
        return self.bijection.event_shape

    @property
    def condition_size(self) -> int:
        """Length of the condition vector."""
        return self.bijection.condition_size

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return self.bijection.inverse_and_log_det(x, condition)

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return self.bijection.forward_and_log_det(y, condition)


class ScannedBijection(AbstractSameShapeBijection):
    """Equal layers, one after the other, as one scan: compile time does not grow with their number.

    The first layer is nearest to the latent. A layer may itself be a chain, as of two couplings with opposite masks.
    """

    stack: Stack
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        make_layer: Callable[[Key[Array, ""]], AbstractBijection],
        num_layers: int,
        *,
        key: Key[Array, ""],
    ):
        """Build the layers.

        Args:
            make_layer: called once, vmapped, with the key of a layer; its shapes must not depend on the key.
            num_layers: how many, at least 1.
            key: split into one key for each layer.

        Raises:
            ValueError: a layer changes the shape of the example.
        """
        self.stack = Stack(make_layer, num_layers, key=key)
        layer = self.stack.layers
        if not isinstance(layer, AbstractBijection):
            raise TypeError(f"`make_layer` must return a bijection; got {type(layer).__name__}")
        if layer.event_shape != layer.out_shape:
            raise ValueError(
                f"a scanned layer must keep the shape; got one from {layer.event_shape} to {layer.out_shape}"
            )
        self.event_shape = layer.event_shape
        self.condition_size = layer.condition_size

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        def step(
            layer: AbstractBijection, carry: tuple[Example, LogDet], _: None
        ) -> tuple[tuple[Example, LogDet], None]:
            x, log_det = layer.forward_and_log_det(carry[0], condition)
            return (x, carry[1] + log_det), None

        return self.stack.scan(step, (x, jnp.zeros((), log_det_dtype(x))), None)[0]

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        def step(
            layer: AbstractBijection, carry: tuple[Example, LogDet], _: None
        ) -> tuple[tuple[Example, LogDet], None]:
            y, log_det = layer.inverse_and_log_det(carry[0], condition)
            return (y, carry[1] + log_det), None

        return self.stack.scan(step, (y, jnp.zeros((), log_det_dtype(y))), None, is_reversed=True)[0]


def condition_of(bijection: AbstractBijection, condition: Condition | None) -> Condition | None:
    """The condition for a bijection that takes one, None for another."""
    return condition if bijection.condition_size else None
