"""Quantizers: maps of vectors to a finite set, with integer codes for its members."""

from artifex.generative_models.models.vae.quantizers.base import AbstractQuantizer, QuantizedBatch
from artifex.generative_models.models.vae.quantizers.codebook import (
    Codebook,
    nearest_codes,
    perplexity_batch,
)
from artifex.generative_models.models.vae.quantizers.finite_scalar import FiniteScalarQuantizer
from artifex.generative_models.models.vae.quantizers.make import make_quantizer
from artifex.generative_models.models.vae.quantizers.residual import ResidualQuantizer
from artifex.generative_models.models.vae.quantizers.vector import VectorQuantizer

__all__ = [
    "AbstractQuantizer",
    "Codebook",
    "FiniteScalarQuantizer",
    "QuantizedBatch",
    "ResidualQuantizer",
    "VectorQuantizer",
    "make_quantizer",
    "nearest_codes",
    "perplexity_batch",
]
