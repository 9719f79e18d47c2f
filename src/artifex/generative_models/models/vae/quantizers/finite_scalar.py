"""Finite scalar quantization: a codebook that is a grid, with nothing to learn."""

import math

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.configuration import FSQConfig
from artifex.generative_models.models.vae.quantizers.base import (
    AbstractQuantizer,
    QuantizedBatch,
    straight_through,
)
from artifex.generative_models.models.vae.quantizers.codebook import perplexity_batch

# The bounds lie by this fraction outside the outermost levels, so that rounding can reach them.
_MARGIN = 1e-3


class FiniteScalarQuantizer(AbstractQuantizer):
    """Channel i is squashed into a range of `levels[i]` integers and rounded; the code counts in mixed radix.

    The integers are `-(L // 2), ..., (L - 1) // 2`: symmetric for an odd number of levels L, one more below zero
    for an even one. Vectors are the integers divided by `L // 2`. Channel 0 is the fastest digit of the code.

    Source: Mentzer et al. 2023, arXiv:2309.15505, section 3 and appendix A.1. Deviation: the shift for even L is
    `arctanh(offset / half)`, so that the encoder's 0 lies at the integer 0; the paper's listing has `tan`.
    """

    config: FSQConfig = eqx.field(static=True)

    def __init__(self, config: FSQConfig, *, key: Key[Array, ""] | None = None):
        self.config = config

    @property
    def embedding_size(self) -> int:
        """One channel for each entry of `levels`."""
        return len(self.config.levels)

    @property
    def num_codes(self) -> int:
        """The product of the levels."""
        return self.config.num_codes

    @property
    def num_levels(self) -> int:
        """One code for each vector."""
        return 1

    def encode(self, z: Float[Array, "channels h w"]) -> Int[Array, "h w"]:
        """Code of the squashed and rounded vector, at each position."""
        return self.codes_of(jnp.round(self.bound(z)) / self._column(self._half_widths, z))

    def decode(self, codes: Int[Array, "h w"]) -> Float[Array, "channels h w"]:
        """The vector of each code, with entries in [-1, 1]."""
        digits = codes[None] // self._column(self._radices, codes[None])
        digits = digits % self._column(self._num_levels, digits)
        half_widths = self._column(self._half_widths, digits)
        return (digits - half_widths).astype(jnp.float32) / half_widths.astype(jnp.float32)

    def codes_of(self, vectors: Float[Array, "channels h w"]) -> Int[Array, "h w"]:
        """Codes of vectors that are quantized already: the inverse of `decode`."""
        half_widths = self._column(self._half_widths, vectors)
        digits = jnp.round(vectors * half_widths).astype(jnp.int32) + half_widths
        return jnp.sum(digits * self._column(self._radices, digits), axis=0).astype(jnp.int32)

    def bound(self, z: Float[Array, "channels h w"]) -> Float[Array, "channels h w"]:
        """Squash channel i into the range of its integers; 0 goes to 0."""
        half = (self._num_levels - 1) * (1 + _MARGIN) / 2
        offset = np.where(self._num_levels % 2 == 0, 0.5, 0.0)
        shift = np.arctanh(offset / half)
        shift, half, offset = (self._column(c.astype(np.float32), z) for c in (shift, half, offset))
        return jnp.tanh(z + shift) * half - offset

    def quantize_batch(
        self, z: Float[Array, "batch channels h w"], *, key: Key[Array, ""] | None = None
    ) -> QuantizedBatch:
        """Quantize a batch. The gradient passes the rounding unchanged; there is no commitment loss."""
        grid = jnp.moveaxis(z, 0, 1).reshape(z.shape[1], -1, z.shape[3])
        bounded = self.bound(grid)
        vectors = straight_through(jnp.round(bounded), bounded) / self._column(self._half_widths, grid)
        codes = self.codes_of(vectors)
        batch, channels, height, width = z.shape
        return QuantizedBatch(
            vectors=jnp.moveaxis(vectors.reshape(channels, batch, height, width), 1, 0),
            codes=codes.reshape(batch, height, width),
            commitment=jnp.zeros(batch, z.dtype),
            perplexity=perplexity_batch(codes, self.num_codes),
            quantizer=self,
        )

    @property
    def _num_levels(self) -> np.ndarray:
        return np.asarray(self.config.levels, np.int32)

    @property
    def _half_widths(self) -> np.ndarray:
        return self._num_levels // 2

    @property
    def _radices(self) -> np.ndarray:
        levels = self.config.levels
        return np.asarray([math.prod(levels[:i]) for i in range(len(levels))], np.int32)

    def _column(self, values: np.ndarray, like: Array) -> Array:
        """One number for each channel, over a grid."""
        return jnp.broadcast_to(jnp.asarray(values)[:, None, None], (len(values), *like.shape[1:]))
