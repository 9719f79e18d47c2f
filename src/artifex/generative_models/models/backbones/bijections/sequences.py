"""Autoregressive layers of sequences of vectors, such as the patches of an image.

Source: Zhai et al. 2024 (TarFlow), arXiv:2412.06329, equations 5 and 6.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import TransformerAutoregressiveConfig
from artifex.generative_models.models.backbones.bijections.base import (
    AbstractSameShapeBijection,
    Condition,
    Example,
    LogDet,
    log_det_sum,
)
from artifex.generative_models.models.backbones.bijections.transformers import (
    AbstractTransformer,
    make_transformer,
)
from artifex.generative_models.models.backbones.dtypes import weight_dtype
from artifex.generative_models.models.backbones.layers import apply_linear, linear
from artifex.generative_models.models.backbones.transformer import CausalTransformer, KeyValueCache
from artifex.generative_models.models.backbones.weights import normal_weights

Vectors = Float[Array, "length features"]


class TransformerAutoregressive(AbstractSameShapeBijection):
    """Each entry of vector t is mapped, y_ti = f(x_ti; theta_ti), theta_t a causal transformer's of y_0 ... y_(t-1).

    The inverse, from data to latent, is one pass. The forward map is one compiled loop over the vectors, with keys
    and values of those that are there kept.

    Deviation from the source: the first vector is mapped too, by what the transformer makes of a trained start token,
    and the logarithm of the scale is bounded (see `AffineTransformer`).

    Attributes:
        into: a vector as a token.
        start: the token before the first vector.
        positions: added to the tokens, the start token's first.
        condition: what the condition adds to every token; None: unconditional.
        network: the transformer.
        out: tokens to parameters, zero at first, so that most maps begin as the identity.
        transformer: f.
    """

    into: eqx.nn.Linear
    start: Float[Array, " hidden"]
    positions: Float[Array, "length hidden"]
    condition: eqx.nn.Linear | None
    network: CausalTransformer
    out: eqx.nn.Linear
    transformer: AbstractTransformer
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: TransformerAutoregressiveConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int = 0,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            config: map and sizes.
            event_shape: (length, features).
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the weights.

        Raises:
            ValueError: examples are not sequences of vectors.
        """
        if len(event_shape) != 2:
            raise ValueError(
                "TransformerAutoregressive maps sequences of vectors, whose `event_shape` is (length, features); got "
                f"{event_shape}"
            )
        length, features = event_shape
        into, start, positions, condition, network, out = jax.random.split(key, 6)
        size = config.hidden_size
        self.transformer = make_transformer(config.transformer)
        self.into = linear(features, size, key=into)
        self.start = normal_weights((size,), key=start)
        self.positions = normal_weights((length, size), 0.1, key=positions)
        self.condition = (
            linear(condition_size, size, use_bias=False, key=condition) if condition_size else None
        )
        self.network = CausalTransformer(size, config.num_layers, config.num_heads, key=network)
        self.out = linear(size, features * self.transformer.num_parameters, scale=0.0, key=out)
        self.event_shape = event_shape
        self.condition_size = condition_size

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        tokens = apply_linear(self.into, y[:-1].astype(weight_dtype(self)))
        tokens = jnp.concatenate([self.start[None], tokens]) + self.positions
        tokens = tokens + self._of_conditions(None if condition is None else condition[None])
        parameters = _parameters(apply_linear(self.out, self.network(tokens)), y)
        x, log_derivatives = self.transformer.inverse_and_log_derivative(y, parameters)
        return x, log_det_sum(log_derivatives)

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        conditions = None if condition is None else condition[None]
        return self._entry_by_entry(x, conditions, jnp.ones(1, x.dtype))

    def guided_forward(
        self,
        x: Vectors,
        conditions: Float[Array, "num condition_size"],
        weights: Float[Array, " num"],
    ) -> Vectors:
        """The forward map with the weighted sum of the parameters that several conditions give for what is there.

        Weights (1 + w, -w) of a condition and of none are guidance.

        Source: Zhai et al. 2024, arXiv:2412.06329, section 2.6. Deviation: what is mixed are the outputs of the
        network, so that log-scales stay bounded.

        Args:
            x: latents, shape `event_shape`.
            conditions: at least one.
            weights: one for each.
        """
        return self._entry_by_entry(x, conditions, weights)[0]

    def _entry_by_entry(
        self,
        x: Vectors,
        conditions: Float[Array, "num condition_size"] | None,
        weights: Float[Array, " num"],
    ) -> tuple[Vectors, LogDet]:
        dtype = weight_dtype(self)
        of_conditions = self._of_conditions(conditions)

        def step(
            carry: tuple[Float[Array, " hidden"], KeyValueCache], entry: tuple[Array, Array, Array]
        ) -> tuple[tuple[Float[Array, " hidden"], KeyValueCache], tuple[Array, Array]]:
            (token, cache), (index, position, x_t) = carry, entry
            tokens = (token + position)[None] + of_conditions
            h, cache = jax.vmap(lambda token, cache: self.network.step(token, cache, index))(tokens, cache)
            mixed = weights.astype(x.dtype) @ apply_linear(self.out, h).astype(x.dtype)
            y_t, log_derivatives = self.transformer.forward_and_log_derivative(x_t, _parameters(mixed, x_t))
            token = apply_linear(self.into, y_t.astype(dtype))
            return (token, cache), (y_t.astype(x.dtype), log_derivatives)

        empty = self.network.empty_cache(len(x))
        caches = jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (len(weights), *leaf.shape)), empty)
        entries = (jnp.arange(len(x)), self.positions, x)
        _, (y, log_derivatives) = jax.lax.scan(step, (self.start, caches), entries)
        return y, log_det_sum(log_derivatives)

    def _of_conditions(
        self, conditions: Float[Array, "num condition_size"] | None
    ) -> Float[Array, "num hidden"]:
        """What is added to every token, for each condition; zeros where there is none."""
        dtype = weight_dtype(self)
        if self.condition is None or conditions is None:
            return jnp.zeros((1, len(self.start)), dtype)
        return apply_linear(self.condition, conditions.astype(dtype))


def _parameters(
    outputs: Float[Array, "..."], x: Float[Array, "*shape"]
) -> Float[Array, "num_parameters *shape"]:
    """What the network gives for each entry of `x`, in its type."""
    return jnp.moveaxis(outputs.astype(x.dtype).reshape(*x.shape, -1), -1, 0)
