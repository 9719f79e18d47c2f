"""Configs of VAEs with discrete latents: quantizers, the prior over codes, and the model."""

import abc
import math
from typing import Annotated

from pydantic import Field

from artifex.generative_models.core.configuration.autoencoders import (
    SpatialAutoencoderConfig,
    check_image_shape,
)
from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import (
    Fraction,
    NonNegativeFloat,
    PositiveInt,
)
from artifex.generative_models.core.configuration.likelihoods import LikelihoodConfig, NormalConfig
from artifex.generative_models.core.configuration.networks import ConvDecoderConfig, ConvEncoderConfig

NumCodes = Annotated[int, Field(ge=2)]


@config()
class QuantizerConfig(Config, abc.ABC):
    """A finite set of vectors, and how it is learned."""

    @property
    @abc.abstractmethod
    def vector_size(self) -> int:
        """Length of a vector."""


@config("vector")
class VectorQuantizerConfig(QuantizerConfig):
    """One codebook, moved by exponential moving averages (van den Oord et al. 2017, arXiv:1711.00937).

    Attributes:
        num_codes: number of vectors in the codebook.
        embedding_size: length of a vector.
        commitment_weight: weight of the squared distance of the encoder's output from its code.
        decay: decay of the moving averages, per training step.
        restart_fraction: a code used less than this fraction of the mean use becomes a vector of the batch; 0: never.
    """

    num_codes: NumCodes = 256
    embedding_size: PositiveInt = 16
    commitment_weight: NonNegativeFloat = 0.25
    decay: Fraction = 0.95
    restart_fraction: Fraction = 0.25

    @property
    def vector_size(self) -> int:
        """Length of a vector."""
        return self.embedding_size


@config("residual")
class ResidualQuantizerConfig(QuantizerConfig):
    """Several codebooks, each for what the ones before left (Zeghidour et al. 2021, arXiv:2107.03312).

    Attributes:
        num_levels: number of codebooks; a vector is the sum of one entry of each.
        num_codes: number of vectors in each codebook.
        embedding_size: length of a vector.
        commitment_weight: weight of the squared distances of the encoder's output from the partial sums.
        decay: decay of the moving averages, per training step.
        restart_fraction: a code used less than this fraction of the mean use becomes a vector of the batch; 0: never.
    """

    num_levels: PositiveInt = 4
    num_codes: NumCodes = 64
    embedding_size: PositiveInt = 16
    commitment_weight: NonNegativeFloat = 0.25
    decay: Fraction = 0.95
    restart_fraction: Fraction = 0.25

    @property
    def vector_size(self) -> int:
        """Length of a vector."""
        return self.embedding_size


@config("fsq")
class FSQConfig(QuantizerConfig):
    """Finite scalar quantization: each channel is rounded to a few levels (Mentzer et al. 2023, arXiv:2309.15505).

    Attributes:
        levels: number of values of each channel, at least 3; the codebook holds their product. The paper advises at
            least 5.
    """

    levels: Annotated[tuple[Annotated[int, Field(ge=3)], ...], Field(strict=False, min_length=1)] = (8, 6, 5)

    @property
    def num_codes(self) -> int:
        """Size of the implicit codebook."""
        return math.prod(self.levels)

    @property
    def vector_size(self) -> int:
        """Length of a vector: one channel for each entry of `levels`."""
        return len(self.levels)


@config("transformer")
class CodePriorConfig(Config):
    """The distribution of an example's codes: a causal transformer over the flattened grid.

    Attributes:
        hidden_size: width, a multiple of `num_heads`.
        num_layers: number of transformer blocks.
        num_heads: attention heads of each block.
    """

    hidden_size: PositiveInt = 128
    num_layers: PositiveInt = 2
    num_heads: PositiveInt = 4

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"`num_heads` must divide `hidden_size`; got {self.num_heads} and {self.hidden_size}"
            )


@config("vqvae")
class VQVAEConfig(SpatialAutoencoderConfig):
    """Autoencoder of images through a grid of discrete codes, with a learned prior over them.

    Attributes:
        encoder: network from an image to a grid of vectors; each of its levels halves the size.
        decoder: network from the quantized grid to the parameters of the likelihood; as many levels.
        quantizer: the finite set that the vectors are replaced from.
        prior: distribution of the codes, from which new examples are made.
        likelihood: distribution of an example around what the decoder puts out.
    """

    encoder: ConvEncoderConfig = ConvEncoderConfig(channels=(64,))
    decoder: ConvDecoderConfig = ConvDecoderConfig(channels=(64,))
    quantizer: QuantizerConfig = VectorQuantizerConfig()
    prior: CodePriorConfig = CodePriorConfig()
    likelihood: LikelihoodConfig = NormalConfig(scale=0.25, scale_source="learned", min_scale=0.01)

    def __post_init__(self) -> None:
        super().__post_init__()
        check_image_shape(self.event_shape)
        if len(self.encoder.channels) != len(self.decoder.channels):
            raise ValueError(
                "`encoder.channels` and `decoder.channels` need equally many levels; got "
                f"{self.encoder.channels} and {self.decoder.channels}"
            )

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape (channels, height, width) of one example's latents, before they are quantized."""
        factor = 2 ** len(self.encoder.channels)
        height, width = (-(-side // factor) for side in self.event_shape[1:])
        return (self.quantizer.vector_size, height, width)
