"""A multilayer perceptron whose outputs for entry r depend on the entries before r alone, and on all of them.

Every hidden unit has a degree m: it sees inputs r < m. A weight between hidden units of degrees m and m' is kept where
m' >= m, one to the outputs of entry r where m <= r. So outputs of r see inputs below r; and they see all of them where
units of every degree exist in every layer. Source: Germain et al. 2015 (MADE), arXiv:1502.03509, equations 13 and 14.

Here degrees are sorted. So entry by entry, as the inverse of an autoregressive map needs it, step r has to compute
only the hidden units of degree r, from what earlier steps left: all steps together do the arithmetic of one pass.
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.generative_models.models.backbones.activations import activation_function
from artifex.generative_models.models.backbones.bijections.transformers import network_inputs
from artifex.generative_models.models.backbones.layers import apply_linear_first, uniform_linear

Vectors = Float[Array, "_ *batch"]
Scalars = Float[Array, "*batch"]


class MaskedMLP(eqx.Module):
    """From `size` numbers, and maybe a condition that all hidden units see, to `num_outputs` numbers for each.

    What is computed with may have further axes behind, as many examples side by side.

    Attributes:
        layers: hidden layers, from the input on.
        out: the last layer.
        direct: a linear map from inputs to outputs, where there are fewer hidden units than degrees; None elsewhere.
        condition: what the condition adds to the first hidden layer; None: unconditional.
    """

    layers: tuple[eqx.nn.Linear, ...]
    out: eqx.nn.Linear
    direct: eqx.nn.Linear | None
    condition: eqx.nn.Linear | None
    size: int = eqx.field(static=True)
    num_outputs: int = eqx.field(static=True)
    is_periodic: bool = eqx.field(static=True)
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        size: int,
        num_outputs: int,
        *,
        hidden_size: int,
        num_layers: int,
        activation: str,
        condition_size: int = 0,
        out_scale: float = 0.1,
        is_periodic: bool = False,
        key: Key[Array, ""],
    ):
        """Random weights, of a variance that makes up for the masks.

        Args:
            size: length of the input.
            num_outputs: numbers for each entry of it.
            hidden_size: width.
            num_layers: hidden layers, at least 1.
            activation: nonlinearity.
            condition_size: length of the condition vector; 0: unconditional.
            out_scale: factor on the initial weights of the last layer.
            is_periodic: whether inputs are angles, of which it sees cosines and sines.
            key: randomness of the weights.
        """
        hidden_key, out_key, direct_key, condition_key = jax.random.split(key, 4)
        self.size, self.num_outputs, self.is_periodic = size, num_outputs, is_periodic
        num_inputs = (1 + is_periodic) * size
        self.activation = activation_function(activation)
        self.condition = None
        if condition_size:
            self.condition = uniform_linear(condition_size, hidden_size, use_bias=False, key=condition_key)
        layers = [uniform_linear(num_inputs, hidden_size, key=hidden_key)]
        for index in range(1, num_layers):
            layers.append(uniform_linear(hidden_size, hidden_size, key=jax.random.fold_in(hidden_key, index)))
        out = uniform_linear(hidden_size, size * num_outputs, scale=out_scale, key=out_key)
        masks = _masks(size, hidden_size, condition_size > 0)
        hidden_masks = [self._of_inputs(masks.first), *[masks.hidden] * (num_layers - 1)]
        self.layers = tuple(_rescaled(layer, mask) for layer, mask in zip(layers, hidden_masks, strict=True))
        self.out = _rescaled(out, np.repeat(masks.out, num_outputs, axis=0))
        self.direct = None
        if len(np.unique(masks.degrees)) < size - (condition_size == 0 and size > 1):
            direct = uniform_linear(
                num_inputs, size * num_outputs, scale=out_scale, use_bias=False, key=direct_key
            )
            direct_mask = np.repeat(self._of_inputs(masks.direct), num_outputs, axis=0)
            self.direct = _rescaled(direct, direct_mask)

    def __call__(
        self, x: Vectors, condition: Float[Array, "condition_size *batch"] | None = None
    ) -> Float[Array, "num_outputs size *batch"]:
        """All outputs in one pass, in the type of `x`."""
        weights = self._weights(condition, x.ndim - 1)
        inputs = network_inputs(x, self.is_periodic)
        h = inputs.astype(self.out.weight.dtype)
        for weight, bias in zip(weights.hidden, weights.hidden_biases, strict=True):
            h = self.activation(jnp.tensordot(weight, h, 1) + bias)
        outputs = jnp.tensordot(weights.out, h, 1) + weights.out_bias
        if weights.direct is not None:
            outputs = outputs + jnp.tensordot(weights.direct, inputs.astype(outputs.dtype), 1)
        return outputs.swapaxes(0, 1).astype(x.dtype)

    def entry_by_entry(
        self,
        step: Callable[[Scalars, Vectors], tuple[Scalars, Scalars]],
        ys: Vectors,
        condition: Float[Array, "condition_size *batch"] | None = None,
    ) -> tuple[Vectors, Vectors]:
        """`x_r, value_r = step(y_r, outputs of entry r)` for every r in turn, the outputs those of x_0 ... x_{r-1}.

        Args:
            step: makes the entry whose outputs are given.
            ys: its inputs, one for each entry.
            condition: as in a pass.

        Returns:
            x in the type of `ys`, and the values.
        """
        batch = ys.shape[1:]
        weights = self._weights(condition, len(batch))
        units, is_unit = _units_by_degree(self._masks().degrees, self.size)
        flat, is_flat = units.ravel(), jnp.asarray(is_unit.ravel(), self.out.weight.dtype)

        def from_hidden(weight: Float[Array, "... hidden"]) -> Float[Array, "... units"]:
            columns = weight[..., flat]
            return columns * jnp.broadcast_to(is_flat, columns.shape)

        first, *rest = weights.hidden
        per_entry = {
            "index": jnp.arange(self.size),
            "y": ys,
            "hidden": (first[units], *(from_hidden(weight[units]) for weight in rest)),
            "bias": tuple(bias[units] for bias in weights.hidden_biases),
            "out": from_hidden(weights.out),
            "out_bias": jnp.broadcast_to(weights.out_bias, (*weights.out_bias.shape[:2], *batch)),
            "direct": weights.direct,
        }

        def body(carry: tuple[Array, tuple[Array, ...]], entry: dict) -> tuple[tuple, Scalars]:
            x, hidden = carry
            inputs = network_inputs(x, self.is_periodic)  # those of later entries have no weights
            below, new = inputs, []
            for weight, bias, units in zip(entry["hidden"], entry["bias"], hidden, strict=True):
                below = below.reshape(-1, *batch).astype(weight.dtype)
                h = self.activation(jnp.tensordot(weight, below, 1) + bias)
                below = units.at[entry["index"]].set(h)
                new.append(below)
            outputs = jnp.tensordot(entry["out"], below.reshape(-1, *batch), 1) + entry["out_bias"]
            if entry["direct"] is not None:
                outputs = outputs + jnp.tensordot(entry["direct"], inputs.astype(outputs.dtype), 1)
            x_r, value = step(entry["y"], outputs.astype(x.dtype))
            return (x.at[entry["index"]].set(x_r.astype(x.dtype)), tuple(new)), value

        hidden = tuple(jnp.zeros((*units.shape, *batch), layer.weight.dtype) for layer in self.layers)
        (x, _), values = jax.lax.scan(body, (jnp.zeros_like(ys), hidden), per_entry)
        return x, values

    def _of_inputs(self, mask: np.ndarray) -> np.ndarray:
        """A mask with columns for entries, for what the network sees of them."""
        return np.tile(mask, (1, 1 + self.is_periodic))

    def _masks(self) -> "_Masks":
        return _masks(self.size, self.out.weight.shape[1], self.condition is not None)

    def _weights(self, condition: Float[Array, "condition_size *batch"] | None, num_axes: int) -> "_Weights":
        """Masked weights, with the condition in the first bias; biases have `num_axes` axes behind."""
        behind = [1] * num_axes
        masks = self._masks()
        hidden_masks = [self._of_inputs(masks.first), *[masks.hidden] * (len(self.layers) - 1)]
        biases = [_bias(layer).reshape(-1, *behind) for layer in self.layers]
        if self.condition is not None and condition is not None:
            biases[0] = biases[0] + apply_linear_first(self.condition, condition.astype(biases[0].dtype))
        shape = (self.size, self.num_outputs, -1)
        direct = None
        if self.direct is not None:
            direct = jnp.where(self._of_inputs(masks.direct)[:, None], self.direct.weight.reshape(shape), 0.0)
        return _Weights(
            tuple(
                jnp.where(mask, layer.weight, 0.0)
                for mask, layer in zip(hidden_masks, self.layers, strict=True)
            ),
            tuple(biases),
            jnp.where(masks.out[:, None], self.out.weight.reshape(shape), 0.0),
            _bias(self.out).reshape(self.size, self.num_outputs, *behind),
            direct,
        )


class _Weights(NamedTuple):
    hidden: tuple[Float[Array, "hidden below"], ...]
    hidden_biases: tuple[Float[Array, "hidden *batch"], ...]
    out: Float[Array, "size num_outputs hidden"]
    out_bias: Float[Array, "size num_outputs *batch"]
    direct: Float[Array, "size num_outputs inputs"] | None


class _Masks(NamedTuple):
    degrees: np.ndarray  # of the hidden units, sorted
    first: np.ndarray  # (hidden, size)
    hidden: np.ndarray  # (hidden, hidden)
    out: np.ndarray  # (size, hidden)
    direct: np.ndarray  # (size, size)


def _masks(size: int, hidden_size: int, is_conditional: bool) -> _Masks:
    # A unit of degree 0 sees the condition alone: without one, it would be a constant.
    first_degree = 0 if is_conditional or size == 1 else 1
    degrees = first_degree + np.arange(hidden_size) * (size - first_degree) // hidden_size
    entries = np.arange(size)
    return _Masks(
        degrees,
        entries[None] < degrees[:, None],
        degrees[None] <= degrees[:, None],
        degrees[None] <= entries[:, None],
        entries[None] < entries[:, None],
    )


def _units_by_degree(degrees: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray]:
    """The hidden units of each degree, shape (size, most of one degree), and whether there is one at that place."""
    counts = np.bincount(degrees, minlength=size)
    places = np.arange(max(counts.max(), 1))
    is_unit = places[None] < counts[:, None]
    units = (np.cumsum(counts) - counts)[:, None] + places[None]
    return np.where(is_unit, units, 0), is_unit


def _bias(layer: eqx.nn.Linear) -> Array:
    return jnp.zeros(len(layer.weight), layer.weight.dtype) if layer.bias is None else layer.bias


def _rescaled(layer: eqx.nn.Linear, mask: np.ndarray) -> eqx.nn.Linear:
    """The layer with the weights of each row as large as if it had only those that the mask leaves."""
    factors = np.sqrt(mask.shape[1] / np.maximum(mask.sum(axis=1, keepdims=True), 1))
    weight = layer.weight * jnp.asarray(np.broadcast_to(factors, mask.shape), layer.weight.dtype)
    return eqx.tree_at(lambda layer: layer.weight, layer, weight)
