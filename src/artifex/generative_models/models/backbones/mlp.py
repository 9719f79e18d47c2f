"""Multilayer perceptron."""

import itertools
from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, Float, Key

from artifex.generative_models.models.backbones.activations import activation_function
from artifex.generative_models.models.backbones.layers import apply_linear, apply_linear_first, linear
from artifex.generative_models.models.backbones.stack import Stack


class MLP(eqx.Module):
    """Affine maps with a nonlinearity between them.

    Runs of hidden layers of equal width are scanned, so compile time does not grow with their number.

    >>> mlp = MLP(3, 2, hidden_sizes=(8, 8, 8), key=jax.random.key(0))
    >>> mlp(jax.numpy.ones(3)).shape
    (2,)
    """

    hidden: tuple[eqx.nn.Linear | Stack, ...]
    out: eqx.nn.Linear
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        in_size: int,
        out_size: int,
        *,
        hidden_sizes: tuple[int, ...],
        activation: str = "gelu",
        out_scale: float = 1.0,
        make_layer: Callable[..., eqx.nn.Linear] = linear,
        key: Key[Array, ""],
    ):
        """Build the layers.

        Args:
            in_size: length of the input.
            out_size: length of the output.
            hidden_sizes: widths of the hidden layers; empty: one affine map.
            activation: nonlinearity after each hidden layer.
            out_scale: factor on the initial weights of the last layer.
            make_layer: `linear`, or another initialisation such as `uniform_linear`.
            key: randomness of the weights.
        """
        hidden_key, out_key = jax.random.split(key)
        sizes = (in_size, *hidden_sizes)
        hidden = []
        for index, (pair, run) in enumerate(itertools.groupby(itertools.pairwise(sizes))):
            num = len(list(run))
            layer_key = jax.random.fold_in(hidden_key, index)
            if num == 1:
                hidden.append(make_layer(*pair, key=layer_key))
            else:
                hidden.append(Stack(lambda key, pair=pair: make_layer(*pair, key=key), num, key=layer_key))
        self.hidden = tuple(hidden)
        self.out = make_layer(sizes[-1], out_size, scale=out_scale, key=out_key)
        self.activation = activation_function(activation)

    def __call__(self, x: Float[Array, " in_size"]) -> Float[Array, " out_size"]:
        """Apply it to one vector, in the type of the weights."""
        # As `x @ w.T` it needs no transposes where it is vmapped twice, over a batch and over samples.
        h = self._last_hidden(x.astype(self.out.weight.dtype), apply_linear)
        return apply_linear(self.out, h).astype(x.dtype)

    def last_hidden_first_axis(self, x: Float[Array, "in_size *rest"]) -> Float[Array, "hidden_size *rest"]:
        """What goes into the last layer, of the numbers along the first axis, in the type of the weights."""
        return self._last_hidden(x.astype(self.out.weight.dtype), apply_linear_first)

    def _last_hidden(self, x: Array, apply: Callable[[eqx.nn.Linear, Array], Array]) -> Array:
        for layers in self.hidden:
            if isinstance(layers, Stack):
                x, _ = layers.scan(lambda layer, x, _: (self.activation(apply(layer, x)), None), x, None)
            else:
                x = self.activation(apply(layers, x))
        return x
