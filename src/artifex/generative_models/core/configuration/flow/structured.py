"""Configs of layers of examples that are more than vectors: sequences and sets of vectors."""

from typing import Literal

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.fields import PositiveInt, Shape
from artifex.generative_models.core.configuration.flow.bijections import BijectionConfig, Booleans
from artifex.generative_models.core.configuration.flow.transformers import (
    AffineTransformerConfig,
    ScalarTransformerConfig,
)


@config("reshape")
class ReshapeConfig(BijectionConfig):
    """The same numbers in another shape, row by row.

    Attributes:
        shape: the new one; none: a vector.
    """

    shape: Shape | None = None


@config()
class AttentionLayerConfig(BijectionConfig):
    """A layer whose parameters a transformer makes.

    Attributes:
        transformer: what is done with each entry.
        hidden_size: width of the network, a multiple of `num_heads`.
        num_layers: its blocks.
        num_heads: attention heads of each.
    """

    transformer: ScalarTransformerConfig = AffineTransformerConfig()
    hidden_size: PositiveInt = 64
    num_layers: PositiveInt = 2
    num_heads: PositiveInt = 4

    def __post_init__(self) -> None:
        check_heads(self.hidden_size, self.num_heads)


@config("transformer_autoregressive")
class TransformerAutoregressiveConfig(AttentionLayerConfig):
    """Each vector of a sequence is mapped with parameters that a causal transformer makes of those before it.

    From data to latent it takes one pass, from latent to data one step for each vector.
    """


@config("set_coupling")
class SetCouplingConfig(AttentionLayerConfig):
    """Some features of every element of a set are mapped, with parameters made of the other features of all elements.

    Another order of the elements gives the same in that order.

    Attributes:
        mask: which features are mapped: the first or the last half, those at even or odd places, or one flag for
            each. Neither none nor all.
    """

    mask: Literal["first", "last", "even", "odd"] | Booleans = "last"


def check_heads(hidden_size: int, num_heads: int) -> None:
    """Raise unless the heads share the width equally."""
    if hidden_size % num_heads:
        raise ValueError(f"`num_heads` must divide `hidden_size`; got {num_heads} and {hidden_size}")
