"""Networks from noisy tokens, their noise level and a condition to the logits of every token.

The transformer is a DiT on tokens: its blocks, in which every token sees all others, modulated by noise level and
condition. Which token stands where is told by a learned vector for each position.

Source: Sahoo et al. 2024, arXiv:2406.07524, appendix; blocks of Peebles & Xie 2023, arXiv:2212.09748. Deviation:
learned positions instead of rotary ones, so that tokens of a grid have places too.
"""

import abc
from collections.abc import Callable
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.configuration import (
    DiTConfig,
    TokenDenoiserConfig,
    TokenMLPConfig,
    TokenTransformerConfig,
)
from artifex.generative_models.models.backbones.activations import activation_function
from artifex.generative_models.models.backbones.conditions import check_condition_vector
from artifex.generative_models.models.backbones.denoisers.dit import DiTBlock
from artifex.generative_models.models.backbones.denoisers.mlp import ModulatedBlock
from artifex.generative_models.models.backbones.layers import apply_linear, linear, normalized
from artifex.generative_models.models.backbones.noise_levels import NoiseLevelEmbedding
from artifex.generative_models.models.backbones.stack import Stack
from artifex.generative_models.models.backbones.weights import normal_weights


class AbstractTokenDenoiser(eqx.Module):
    """A network of the form `network(tokens, level, condition)`, for one example."""

    @abc.abstractmethod
    def __call__(
        self,
        tokens: Int[Array, " length"],
        level: Float[Array, ""],
        condition: Float[Array, " condition_size"] | None,
    ) -> Float[Array, "length vocab_size"]:
        """Predict.

        Args:
            tokens: noisy tokens, in [0, num_inputs).
            level: their noise level, a number of size up to about 1,000.
            condition: the condition as a vector; None for an unconditional network.

        Returns:
            Logits of the token at each position, in float32.
        """


class TokenTransformer(AbstractTokenDenoiser):
    """Embeddings, equal blocks, scanned, and logits, which are zero at first: all tokens alike."""

    tokens: Float[Array, "num_inputs size"]
    positions: Float[Array, "length size"]
    embedding: NoiseLevelEmbedding
    blocks: Stack
    modulation: eqx.nn.Linear
    out: eqx.nn.Linear
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: TokenTransformerConfig,
        length: int,
        *,
        num_inputs: int,
        vocab_size: int,
        condition_size: int,
        key: Key[Array, ""],
    ):
        """Random weights; arguments as of `make_token_denoiser`."""
        tokens, positions, embedding, blocks, modulation, out = jax.random.split(key, 6)
        size = config.hidden_size
        block = DiTConfig(
            hidden_size=size,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            mlp_ratio=config.mlp_ratio,
        )
        self.tokens = normal_weights((num_inputs, size), 0.1, key=tokens)
        self.positions = normal_weights((length, size), 0.1, key=positions)
        self.embedding = NoiseLevelEmbedding(size, condition_size=condition_size, key=embedding)
        self.blocks = Stack(lambda key: DiTBlock(block, (1, length), key=key), config.num_layers, key=blocks)
        self.modulation = linear(size, 2 * size, scale=0.0, key=modulation)
        self.out = linear(size, vocab_size, scale=0.0, key=out)
        self.condition_size = condition_size

    def __call__(
        self,
        tokens: Int[Array, " length"],
        level: Float[Array, ""],
        condition: Float[Array, " condition_size"] | None,
    ) -> Float[Array, "length vocab_size"]:
        """Predict."""
        check_condition_vector(condition, self.condition_size)
        embedding = self.embedding(level, condition)
        h = self.blocks(self.tokens[tokens] + self.positions, embedding, None)
        shift, scale = jnp.split(apply_linear(self.modulation, embedding)[None], 2, axis=1)
        return apply_linear(self.out, normalized(h) * (1 + scale) + shift).astype(jnp.float32)


class TokenMLP(AbstractTokenDenoiser):
    """One-hot tokens in one vector, residual blocks, logits of all positions, which are zero at first."""

    into: eqx.nn.Linear
    embedding: NoiseLevelEmbedding
    blocks: Stack
    out: eqx.nn.Linear
    num_inputs: int = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)
    activation: Callable[[Array], Array] = eqx.field(static=True)

    def __init__(
        self,
        config: TokenMLPConfig,
        length: int,
        *,
        num_inputs: int,
        vocab_size: int,
        condition_size: int,
        key: Key[Array, ""],
    ):
        """Random weights; arguments as of `make_token_denoiser`."""
        into_key, embedding_key, blocks_key, out_key = jax.random.split(key, 4)
        size = config.hidden_size
        self.into = linear(length * num_inputs, size, key=into_key)
        self.embedding = NoiseLevelEmbedding(size, condition_size=condition_size, key=embedding_key)
        self.blocks = Stack(
            lambda key: ModulatedBlock(size, config.activation, key=key), config.num_layers, key=blocks_key
        )
        self.out = linear(size, length * vocab_size, scale=0.0, key=out_key)
        self.num_inputs = num_inputs
        self.condition_size = condition_size
        self.activation = activation_function(config.activation)

    def __call__(
        self,
        tokens: Int[Array, " length"],
        level: Float[Array, ""],
        condition: Float[Array, " condition_size"] | None,
    ) -> Float[Array, "length vocab_size"]:
        """Predict."""
        check_condition_vector(condition, self.condition_size)
        x = jax.nn.one_hot(tokens, self.num_inputs, dtype=self.into.weight.dtype).ravel()
        h = self.blocks(apply_linear(self.into, x), self.embedding(level, condition))
        logits = apply_linear(self.out, self.activation(h))
        return logits.reshape(len(tokens), -1).astype(jnp.float32)


@singledispatch
def make_token_denoiser(
    config: TokenDenoiserConfig,
    length: int,
    *,
    num_inputs: int,
    vocab_size: int,
    condition_size: int,
    key: Key[Array, ""],
) -> AbstractTokenDenoiser:
    """The network that a config describes, with random weights.

    Args:
        config: its kind and sizes.
        length: number of tokens of one example.
        num_inputs: noisy tokens lie in [0, num_inputs): one value more than of the data where masks are among them.
        vocab_size: number of tokens that it chooses from.
        condition_size: length of the condition vector; 0: unconditional.
        key: randomness of the weights.
    """
    raise LookupError(
        f"no network is registered for {type(config).__name__}; use @make_token_denoiser.register"
    )


@make_token_denoiser.register
def _(config: TokenTransformerConfig, length: int, **options) -> AbstractTokenDenoiser:
    return TokenTransformer(config, length, **options)


@make_token_denoiser.register
def _(config: TokenMLPConfig, length: int, **options) -> AbstractTokenDenoiser:
    return TokenMLP(config, length, **options)
