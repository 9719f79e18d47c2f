"""Configs of the layers of normalizing flows."""

from typing import Annotated, Literal

import pydantic

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import Indices, PositiveInt
from artifex.generative_models.core.configuration.flow.transformers import (
    AffineTransformerConfig,
    ScalarTransformerConfig,
)
from artifex.generative_models.core.configuration.networks import Activation

Booleans = Annotated[tuple[bool, ...], pydantic.Field(strict=False, min_length=1)]


@config()
class BijectionConfig(Config):
    """An invertible map of one example, maybe with a condition. Its forward map goes from latent to data."""


@config("coupling")
class CouplingLayerConfig(BijectionConfig):
    """Some entries of a vector are mapped one by one, with parameters that an MLP makes of the others.

    Both directions take one pass. Where the map of an entry has an iterative inverse, `inverse` of this layer has the
    cheap direction from data to latent.

    Attributes:
        mask: which entries are mapped: the first or the last half, those at even or odd places, or one flag for
            each entry. Neither none nor all.
        transformer: what is done with each of them.
        hidden_size: width of the MLP.
        num_layers: its hidden layers.
        activation: its nonlinearity.
    """

    mask: Literal["first", "last", "even", "odd"] | Booleans = "last"
    transformer: ScalarTransformerConfig = AffineTransformerConfig()
    hidden_size: PositiveInt = 64
    num_layers: PositiveInt = 2
    activation: Activation = "gelu"


@config("masked_autoregressive")
class MaskedAutoregressiveConfig(BijectionConfig):
    """Each entry of a vector is mapped with parameters that a masked MLP makes of the entries before it.

    The forward map takes one pass, the inverse one step for each entry: fast sampling (IAF). `inverse` of this layer
    has fast densities (MAF).

    Attributes:
        transformer: what is done with each entry.
        hidden_size: width of the MLP; below the number of entries, a direct linear connection is added, or some
            entries would not depend on all before them.
        num_layers: its hidden layers.
        activation: its nonlinearity.
        order: the places of the entries in the order in which they depend on one another; none: as they come.
    """

    transformer: ScalarTransformerConfig = AffineTransformerConfig()
    hidden_size: PositiveInt = 64
    num_layers: PositiveInt = 2
    activation: Activation = "gelu"
    order: Indices | None = None

    def __post_init__(self) -> None:
        if self.order is not None and sorted(self.order) != [*range(len(self.order))]:
            raise ValueError(
                f"`order` must hold each place from 0 to {len(self.order) - 1} once; got {self.order}"
            )
