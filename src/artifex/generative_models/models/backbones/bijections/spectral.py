"""Networks with a bounded Lipschitz constant."""

import functools
import math
from typing import TypeVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.trainable import Buffer
from artifex.generative_models.models.backbones.bijections.base import Condition
from artifex.generative_models.models.backbones.layers import apply_linear, linear
from artifex.generative_models.models.backbones.weights import normal_weights

ModuleT = TypeVar("ModuleT", bound=eqx.Module)

_NUM_ITERATIONS = 5  # of the power method at each use, from the direction that the last training step left
_FIRST_ITERATIONS = 50
_STEEPEST = 1.1  # above the largest slope of x sigmoid(x), 1.0998


class SpectralLinear(eqx.Module):
    """Affine map whose matrix is scaled down to a spectral norm of at most `max_norm`.

    Source: Miyato et al. 2018, arXiv:1802.05957, algorithm 1; with a bound other than 1 and no scaling below it,
    Behrmann et al. 2019 (i-ResNet), arXiv:1811.00995, section 2.1.

    Attributes:
        weight: the matrix before it is scaled.
        bias: what is added.
        direction: estimate of the left singular vector of the largest singular value.
        max_norm: the bound.
    """

    weight: Float[Array, "*stack out_size in_size"]
    bias: Float[Array, "*stack out_size"]
    direction: Buffer
    max_norm: float = eqx.field(static=True)

    def __init__(self, in_size: int, out_size: int, *, max_norm: float, key: Key[Array, ""]):
        """Random weights and biases, such that nonlinearities bend at places all over standardised inputs.

        Args:
            in_size: length of the input.
            out_size: length of the output.
            max_norm: bound of the spectral norm.
            key: randomness of the weights and of where the power method starts.
        """
        weight_key, bias_key, direction_key = jax.random.split(key, 3)
        self.weight = linear(in_size, out_size, use_bias=False, key=weight_key).weight
        # The size of what a matrix of norm 1 makes of a standardised vector.
        self.bias = normal_weights((out_size,), (in_size / out_size) ** 0.5, key=bias_key)
        start = normal_weights((out_size,), key=direction_key)
        self.direction = Buffer(_power_method(self.weight, start, _FIRST_ITERATIONS)[0])
        self.max_norm = max_norm

    def __call__(self, x: Float[Array, " in_size"]) -> Float[Array, " out_size"]:
        """Apply it to one vector."""
        left, right = self._singular_vectors()
        norm = left @ self.weight.astype(left.dtype) @ right
        factor = jnp.minimum(1.0, self.max_norm / jnp.maximum(norm, jnp.finfo(norm.dtype).tiny))
        return factor.astype(x.dtype) * (self.weight.astype(x.dtype) @ x) + self.bias.astype(x.dtype)

    def advanced(self) -> "SpectralLinear":
        """The same layer, or stack of layers, with the direction brought up to the weights."""
        direction, _ = self._singular_vectors()
        return eqx.tree_at(lambda layer: layer.direction.value, self, direction)

    def _singular_vectors(self) -> tuple[Float[Array, "*stack out_size"], Float[Array, "*stack in_size"]]:
        weight = jax.lax.stop_gradient(self.weight)
        weight = weight.astype(jnp.promote_types(weight.dtype, jnp.float32))
        start = jax.lax.stop_gradient(self.direction.value).astype(weight.dtype)
        return _power_method(weight, start, _NUM_ITERATIONS)


class LipschitzMLP(eqx.Module):
    """An MLP whose Lipschitz constant in its input, by the Euclidean norm, is below a bound.

    Each matrix has an equal share of it. The nonlinearity is x sigmoid(b x) / 1.1 with a trained b > 0 in each layer,
    whose slope is at most 1 whatever b is (Chen et al. 2019, arXiv:1906.02735, section 3.3). Entries of a wide layer
    are small, as its norm is bounded; so b begins at the root of the width, not at 1. A condition is added to the
    first hidden layer.

    Attributes:
        layers: the affine maps.
        sharpness: b of each hidden layer, before a softplus.
    """

    layers: tuple[SpectralLinear, ...]
    sharpness: Float[Array, " num_layers"]
    condition: eqx.nn.Linear | None

    def __init__(
        self,
        size: int,
        *,
        hidden_size: int,
        num_layers: int,
        lipschitz: float,
        condition_size: int,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            size: length of input and output.
            hidden_size: width.
            num_layers: hidden layers.
            lipschitz: the bound.
            condition_size: length of the condition vector; 0: none.
            key: randomness of the weights.
        """
        sizes = (size, *(hidden_size,) * num_layers, size)
        condition_key, *keys = jax.random.split(key, num_layers + 2)
        max_norm = math.exp(math.log(lipschitz) / (num_layers + 1))
        self.layers = tuple(
            SpectralLinear(before, after, max_norm=max_norm, key=layer_key)
            for before, after, layer_key in zip(sizes[:-1], sizes[1:], keys, strict=True)
        )
        sharpness = hidden_size**0.5
        self.sharpness = jnp.full(num_layers, sharpness + math.log(-math.expm1(-sharpness)))
        self.condition = None
        if condition_size:
            self.condition = linear(condition_size, hidden_size, use_bias=False, key=condition_key)

    def __call__(self, x: Float[Array, " size"], condition: Condition | None) -> Float[Array, " size"]:
        """Apply it to one vector."""
        first, *others = self.layers
        h = first(x)
        if self.condition is not None and condition is not None:
            h = h + apply_linear(self.condition, condition.astype(self.condition.weight.dtype)).astype(
                h.dtype
            )
        for layer, sharpness in zip(others, jax.nn.softplus(self.sharpness), strict=True):
            h = layer(h * jax.nn.sigmoid(sharpness.astype(h.dtype) * h) / _STEEPEST)
        return h


def with_advanced_norms(module: ModuleT) -> ModuleT:
    """A module with the direction of every `SpectralLinear` in it brought up to the weights, as after each step.

    Without one it is the module itself.
    """

    def is_spectral(node: object) -> bool:
        return isinstance(node, SpectralLinear)

    if not any(map(is_spectral, jax.tree.leaves(module, is_leaf=is_spectral))):
        return module
    return jax.tree.map(
        lambda node: node.advanced() if isinstance(node, SpectralLinear) else node,
        module,
        is_leaf=is_spectral,
    )


@functools.partial(jax.jit, static_argnames="num")
def _power_method(
    weight: Float[Array, "*stack out_size in_size"], left: Float[Array, "*stack out_size"], num: int
) -> tuple[Float[Array, "*stack out_size"], Float[Array, "*stack in_size"]]:
    """Left and right singular vectors of the largest singular value, after `num` iterations."""

    def step(_: Array, vectors: tuple[Array, Array]) -> tuple[Array, Array]:
        right = _unit(jnp.einsum("...oi,...o->...i", weight, vectors[0]))
        return _unit(jnp.einsum("...oi,...i->...o", weight, right)), right

    right = jnp.zeros((*left.shape[:-1], weight.shape[-1]), weight.dtype)
    return jax.lax.fori_loop(0, num, step, (_unit(left), right))


def _unit(vector: Float[Array, "*stack size"]) -> Float[Array, "*stack size"]:
    square = jnp.sum(vector**2, axis=-1, keepdims=True)
    return vector * jax.lax.rsqrt(jnp.maximum(square, jnp.finfo(vector.dtype).tiny))
