"""From a quantizer's config to the quantizer."""

import functools

from jaxtyping import Array, Key

from artifex.generative_models.core.configuration import (
    FSQConfig,
    QuantizerConfig,
    ResidualQuantizerConfig,
    VectorQuantizerConfig,
)
from artifex.generative_models.models.vae.quantizers.base import AbstractQuantizer
from artifex.generative_models.models.vae.quantizers.finite_scalar import FiniteScalarQuantizer
from artifex.generative_models.models.vae.quantizers.residual import ResidualQuantizer
from artifex.generative_models.models.vae.quantizers.vector import VectorQuantizer


@functools.singledispatch
def make_quantizer(config: QuantizerConfig, *, key: Key[Array, ""]) -> AbstractQuantizer:
    """The quantizer that a config describes. Register another kind with `make_quantizer.register`."""
    raise TypeError(f"no quantizer is known for {type(config).__name__}: use @make_quantizer.register")


@make_quantizer.register
def _(config: VectorQuantizerConfig, *, key: Key[Array, ""]) -> VectorQuantizer:
    return VectorQuantizer(config, key=key)


@make_quantizer.register
def _(config: ResidualQuantizerConfig, *, key: Key[Array, ""]) -> ResidualQuantizer:
    return ResidualQuantizer(config, key=key)


@make_quantizer.register
def _(config: FSQConfig, *, key: Key[Array, ""]) -> FiniteScalarQuantizer:
    return FiniteScalarQuantizer(config)
