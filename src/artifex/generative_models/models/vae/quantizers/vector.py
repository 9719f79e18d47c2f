"""Vector quantization with one codebook."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.configuration import VectorQuantizerConfig
from artifex.generative_models.core.trainable import Buffer
from artifex.generative_models.models.vae.quantizers.base import (
    AbstractQuantizer,
    QuantizedBatch,
    as_grids,
    as_points,
    straight_through,
)
from artifex.generative_models.models.vae.quantizers.codebook import (
    empty_codebook,
    learn_batch,
    nearest_codes,
    perplexity_batch,
)


class VectorQuantizer(AbstractQuantizer):
    """Each vector of a grid becomes the nearest one of a codebook, which follows the vectors' moving averages.

    The encoder gets the decoder's gradient unchanged, and that of `weight * |z - sg[e]|^2`.

    Source: van den Oord et al. 2017, arXiv:1711.00937, equation 3 (its second term is replaced by the moving
    averages of appendix A.1). Added: the first batch gives the first codebook, and unused codes restart.
    """

    codebook: Buffer
    config: VectorQuantizerConfig = eqx.field(static=True)

    def __init__(self, config: VectorQuantizerConfig, *, key: Key[Array, ""]):
        self.codebook = Buffer(empty_codebook(config.num_codes, config.embedding_size, key=key))
        self.config = config

    @property
    def embedding_size(self) -> int:
        """Length of a vector."""
        return self.config.embedding_size

    @property
    def num_codes(self) -> int:
        """Number of vectors in the codebook."""
        return self.config.num_codes

    @property
    def num_levels(self) -> int:
        """One code for each vector."""
        return 1

    def encode(self, z: Float[Array, "channels h w"]) -> Int[Array, "h w"]:
        """Code of the nearest vector, at each position."""
        return nearest_codes(self.codebook.value.vectors, as_points(z[None])).reshape(z.shape[1:])

    def decode(self, codes: Int[Array, "h w"]) -> Float[Array, "channels h w"]:
        """The vector of each code."""
        return self.codebook.value.vectors[codes].transpose(2, 0, 1)

    def quantize_batch(self, z: Float[Array, "batch channels h w"], *, key: Key[Array, ""]) -> QuantizedBatch:
        """Quantize a batch, and update the codebook with it."""
        codebook, codes, vectors = learn_batch(
            self.codebook.value,
            as_points(z),
            decay=self.config.decay,
            restart_fraction=self.config.restart_fraction,
            key=key,
        )
        vectors = jax.lax.stop_gradient(as_grids(vectors, z))
        return QuantizedBatch(
            vectors=straight_through(vectors, z),
            codes=codes.reshape(z.shape[0], *z.shape[2:]),
            commitment=self.config.commitment_weight * jnp.sum((z - vectors) ** 2, axis=(1, 2, 3)),
            perplexity=perplexity_batch(codes, self.num_codes),
            quantizer=eqx.tree_at(lambda quantizer: quantizer.codebook.value, self, codebook),
        )
