"""Residual vector quantization: several codebooks in turn, coarse to fine."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.configuration import ResidualQuantizerConfig
from artifex.generative_models.core.trainable import Buffer
from artifex.generative_models.models.vae.quantizers.base import (
    AbstractQuantizer,
    QuantizedBatch,
    as_grids,
    as_points,
    straight_through,
)
from artifex.generative_models.models.vae.quantizers.codebook import (
    Codebook,
    empty_codebook,
    learn_batch,
    nearest_codes,
    perplexity_batch,
)


class ResidualQuantizer(AbstractQuantizer):
    """A vector becomes a sum: the nearest entry of one codebook, then that of the next for what is left, and so on.

    Codes have shape `(levels, h, w)`, coarse to fine. Encoding is greedy: codes that did not come from `encode` may
    decode to a vector that has other codes.

    Source: Zeghidour et al. 2021, arXiv:2107.03312, algorithm 1; the commitment loss sums over the partial sums,
    as in Lee et al. 2022, arXiv:2203.01941, equation 7.
    """

    codebooks: Buffer
    config: ResidualQuantizerConfig = eqx.field(static=True)

    def __init__(self, config: ResidualQuantizerConfig, *, key: Key[Array, ""]):
        def one_codebook(key: Key[Array, ""]) -> Codebook:
            return empty_codebook(config.num_codes, config.embedding_size, key=key)

        self.codebooks = Buffer(jax.vmap(one_codebook)(jax.random.split(key, config.num_levels)))
        self.config = config

    @property
    def embedding_size(self) -> int:
        """Length of a vector."""
        return self.config.embedding_size

    @property
    def num_codes(self) -> int:
        """Number of vectors in each codebook."""
        return self.config.num_codes

    @property
    def num_levels(self) -> int:
        """Number of codebooks."""
        return self.config.num_levels

    def encode(self, z: Float[Array, "channels h w"]) -> Int[Array, "levels h w"]:
        """Codes of each level, at each position."""

        def level(residual: Array, vectors: Array) -> tuple[Array, Array]:
            codes = nearest_codes(vectors, residual)
            return residual - vectors[codes], codes

        _, codes = jax.lax.scan(level, as_points(z[None]), self.codebooks.value.vectors)
        return codes.reshape(self.num_levels, *z.shape[1:])

    def decode(self, codes: Int[Array, "levels h w"]) -> Float[Array, "channels h w"]:
        """The sum of the levels' vectors."""
        vectors = jax.vmap(lambda vectors, codes: vectors[codes])(self.codebooks.value.vectors, codes)
        return jnp.sum(vectors, axis=0).transpose(2, 0, 1)

    def quantize_batch(self, z: Float[Array, "batch channels h w"], *, key: Key[Array, ""]) -> QuantizedBatch:
        """Quantize a batch, and update all codebooks with it; the perplexity is the mean of the levels'."""
        points = as_points(z)

        def level(residual: Array, inputs: tuple[Codebook, Array]) -> tuple[Array, tuple]:
            codebook, key = inputs
            codebook, codes, vectors = learn_batch(
                codebook,
                residual,
                decay=self.config.decay,
                restart_fraction=self.config.restart_fraction,
                key=key,
            )
            return residual - vectors, (codebook, codes, vectors)

        keys = jax.random.split(key, self.num_levels)
        start = jax.lax.stop_gradient(points)
        _, (codebooks, codes, vectors) = jax.lax.scan(level, start, (self.codebooks.value, keys))
        sums = jax.lax.stop_gradient(jnp.cumsum(vectors, axis=0))
        distances = jnp.sum((jnp.broadcast_to(points, sums.shape) - sums) ** 2, axis=(0, 2))
        batch, _, height, width = z.shape
        return QuantizedBatch(
            vectors=straight_through(as_grids(sums[-1], z), z),
            codes=jnp.moveaxis(codes.reshape(self.num_levels, batch, height, width), 0, 1),
            commitment=self.config.commitment_weight * jnp.sum(distances.reshape(batch, -1), axis=1),
            perplexity=jnp.mean(jax.vmap(lambda codes: perplexity_batch(codes, self.num_codes))(codes)),
            quantizer=eqx.tree_at(lambda quantizer: quantizer.codebooks.value, self, codebooks),
        )
