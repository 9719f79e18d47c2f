"""Equal layers, one after the other, as one scanned module: compile time does not grow with depth."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jaxtyping import Array, Key, PyTree

from artifex.generative_models.core.configuration import Remat
from artifex.generative_models.models.backbones.remat import rematerialized
from artifex.generative_models.models.backbones.weights import is_traced, stacked


class Stack(eqx.Module):
    """`num_layers` modules of one structure, applied in turn.

    Attributes:
        layers: one module whose arrays have a leading axis of length `num_layers`.
        num_layers: how many.
        remat: what the backward pass computes again, layer by layer.
    """

    layers: eqx.Module
    num_layers: int = eqx.field(static=True)
    remat: Remat = eqx.field(static=True)

    def __init__(
        self,
        make_layer: Callable[[Key[Array, ""]], eqx.Module],
        num_layers: int,
        *,
        remat: Remat = "none",
        key: Key[Array, ""],
    ):
        """Build the layers.

        Args:
            make_layer: called with the key of each layer; once, vmapped, in traced code.
            num_layers: how many, at least 1.
            remat: what the backward pass computes again, as in `rematerialized`.
            key: split into one key for each layer.
        """
        if num_layers < 1:
            raise ValueError(f"`num_layers` must be at least 1; got {num_layers}")
        self.layers = _make(make_layer, jax.random.split(key, num_layers))
        self.num_layers = num_layers
        self.remat = remat

    def __call__(self, x: PyTree[Array], *args: Any) -> PyTree[Array]:
        """Apply `x = layer(x, *args)` for every layer; the type and shape of `x` must not change."""
        return self.scan(lambda layer, x, _: (layer(x, *args), None), x, None)[0]

    def scan(
        self,
        step: Callable[..., tuple[PyTree, PyTree]],
        carry: PyTree[Array],
        xs: PyTree,
        *,
        is_reversed: bool = False,
    ) -> tuple[PyTree, PyTree]:
        """`carry, y = step(layer, carry, x)` for every layer, with per-layer inputs `xs` and outputs `y`.

        Args:
            step: what is done with one layer.
            carry: what the first step gets.
            xs: inputs with a leading axis of length `num_layers`, or None.
            is_reversed: whether the last layer comes first; inputs and outputs stay in the order of the layers.

        Returns:
            The last carry, and the outputs with a leading axis of length `num_layers`.
        """
        arrays, static = eqx.partition(self.layers, eqx.is_array)

        def body(carry: PyTree, inputs: tuple[PyTree, PyTree]) -> tuple[PyTree, PyTree]:
            layer, x = inputs
            return step(eqx.combine(layer, static), carry, x)

        body = rematerialized(body, self.remat, is_scanned=True)
        return jax.lax.scan(body, carry, (arrays, xs), length=self.num_layers, reverse=is_reversed)


def _make(make_layer: Callable[[Key[Array, ""]], eqx.Module], keys: Key[Array, " layers"]) -> eqx.Module:
    if is_traced(keys):
        return eqx.filter_vmap(make_layer)(keys)
    # Not vmapped, which would compile every operation of the making anew.
    layers = [eqx.partition(make_layer(key), eqx.is_array) for key in keys]
    arrays = jax.tree.map(lambda *leaves: stacked(leaves), *(arrays for arrays, _ in layers))
    return eqx.combine(arrays, layers[0][1])
