"""The distribution of an example's codes: each given those before, by a causal transformer.

    log p(c | condition) = sum_t log p(c_t | c_0, ..., c_{t-1}, condition)

Codes are put in one sequence position by position (row by row), and at each position level by level, coarse to
fine. The prior sees codes, which are integers, so no gradient of its goes to the encoder.

Source: the two-stage scheme of van den Oord et al. 2017, arXiv:1711.00937, section 3.2, with the prior learned at
the same time, and a transformer for the PixelCNN.
"""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.configuration import CodePriorConfig
from artifex.generative_models.models.backbones import CausalTransformer, linear
from artifex.generative_models.models.backbones.weights import normal_weights


class CodePrior(eqx.Module):
    """An autoregressive distribution of codes of shape `(h, w)` or `(levels, h, w)`.

    Every level has its own embeddings and its own output layer.
    """

    start: Float[Array, " hidden"]
    tokens: Float[Array, "levels codes hidden"]
    positions: Float[Array, "length hidden"]
    condition: eqx.nn.Linear | None
    transformer: CausalTransformer
    logits_weight: Float[Array, "levels codes hidden"]
    codes_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(
        self,
        config: CodePriorConfig,
        codes_shape: tuple[int, ...],
        *,
        num_codes: int,
        condition_size: int = 0,
        key: Key[Array, ""],
    ):
        """Build the prior; at first it is near uniform.

        Args:
            config: sizes of the transformer.
            codes_shape: shape of one example's codes, `(h, w)` or `(levels, h, w)`.
            num_codes: codes lie in [0, num_codes).
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the weights.
        """
        start, tokens, positions, condition, transformer, logits = jax.random.split(key, 6)
        hidden, length = config.hidden_size, math.prod(codes_shape)
        table_shape = (codes_shape[0] if len(codes_shape) == 3 else 1, num_codes, hidden)
        self.start = normal_weights((hidden,), 0.1, key=start)
        self.tokens = normal_weights(table_shape, 0.1, key=tokens)
        self.positions = normal_weights((length, hidden), 0.1, key=positions)
        self.condition = linear(condition_size, hidden, key=condition) if condition_size else None
        self.transformer = CausalTransformer(hidden, config.num_layers, config.num_heads, key=transformer)
        self.logits_weight = normal_weights(table_shape, 0.1 * hidden**-0.5, key=logits)
        self.codes_shape = tuple(codes_shape)

    @property
    def num_levels(self) -> int:
        """Codes for each position of the grid."""
        return self.tokens.shape[0]

    def log_prob(
        self, codes: Int[Array, "*grid"], condition_vector: Float[Array, " n"] | None = None
    ) -> Float[Array, ""]:
        """Exact log-probability of one example's codes, in nats."""
        sequence = self.to_sequence(codes)
        log_probs = jax.nn.log_softmax(self.logits(sequence, condition_vector))
        return jnp.sum(jnp.take_along_axis(log_probs, sequence[:, None], axis=1))

    def logits(
        self, sequence: Int[Array, " length"], condition_vector: Float[Array, " n"] | None = None
    ) -> Float[Array, "length codes"]:
        """Unnormalised log-probabilities of each code of a sequence, given those before it."""
        levels = jnp.arange(len(sequence)) % self.num_levels
        inputs = jnp.concatenate([self.start[None], self.tokens[levels, sequence][:-1]])
        inputs = inputs + self.positions + jnp.broadcast_to(self._context(condition_vector), inputs.shape)
        h = self.transformer(inputs).reshape(-1, self.num_levels, inputs.shape[1])
        logits = jnp.einsum("plh,lch->plc", h, self.logits_weight)
        return logits.reshape(len(sequence), -1).astype(jnp.float32)

    def sample(
        self, condition_vector: Float[Array, " n"] | None = None, *, key: Key[Array, ""]
    ) -> Int[Array, "*grid"]:
        """Codes of one new example: one scan over the sequence, with a cache."""
        length = len(self.positions)
        context = self._context(condition_vector)

        def step(carry: tuple, inputs: tuple) -> tuple[tuple, Array]:
            embedding, cache = carry
            position, key = inputs
            x = embedding + self.positions[position] + context
            h, cache = self.transformer.step(x, cache, position)
            level = position % self.num_levels
            code = jax.random.categorical(key, (self.logits_weight[level] @ h).astype(jnp.float32))
            return (self.tokens[level, code], cache), code

        start = (self.start, self.transformer.empty_cache(length))
        _, sequence = jax.lax.scan(step, start, (jnp.arange(length), jax.random.split(key, length)))
        return self.to_codes(sequence)

    def to_sequence(self, codes: Int[Array, "*grid"]) -> Int[Array, " length"]:
        """Codes of one example in the order in which they are generated."""
        if codes.shape != self.codes_shape:
            raise ValueError(f"codes of one example must have shape {self.codes_shape}; got {codes.shape}")
        return codes.ravel() if codes.ndim == 2 else jnp.moveaxis(codes, 0, -1).ravel()

    def to_codes(self, sequence: Int[Array, " length"]) -> Int[Array, "*grid"]:
        """The inverse of `to_sequence`."""
        if len(self.codes_shape) == 2:
            return sequence.reshape(self.codes_shape)
        return jnp.moveaxis(sequence.reshape(*self.codes_shape[1:], -1), -1, 0)

    def _context(self, condition_vector: Float[Array, " n"] | None) -> Float[Array, " hidden"]:
        """What the condition adds at every position."""
        if (condition_vector is None) != (self.condition is None):
            raise ValueError(
                "a conditional prior takes a `condition_vector`, an unconditional one takes none"
            )
        if self.condition is None or condition_vector is None:
            return jnp.zeros_like(self.start)
        return self.condition(condition_vector.astype(self.start.dtype))
