"""Configs of the layers of normalizing flows that have few numbers, and of what is made of other layers."""

from typing import Annotated

import pydantic

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.fields import PositiveInt
from artifex.generative_models.core.configuration.flow.bijections import BijectionConfig, CouplingLayerConfig
from artifex.generative_models.core.configuration.flow.transformers import (
    RationalQuadraticSplineConfig,
    ScalarTransformerConfig,
)


@config("elementwise")
class ElementwiseTransformerConfig(BijectionConfig):
    """Each entry mapped by itself, with trained parameters of its own.

    Attributes:
        transformer: the map.
    """

    transformer: ScalarTransformerConfig = RationalQuadraticSplineConfig()


@config("planar")
class PlanarConfig(BijectionConfig):
    """One unit that moves vectors along a direction; a condition shifts its parameters."""


@config("radial")
class RadialConfig(BijectionConfig):
    """Contraction or expansion around a centre; a condition shifts its parameters."""


@config("sylvester")
class SylvesterConfig(BijectionConfig):
    """A planar flow with several units; a condition shifts its parameters.

    Attributes:
        num_units: at most the entries of an example; none: as many.
    """

    num_units: PositiveInt | None = None


@config("act_norm")
class ActNormConfig(BijectionConfig):
    """A scale and a shift for each channel or entry, set by the first batch."""


@config("reverse")
class ReverseConfig(BijectionConfig):
    """The entries of an axis in reverse order.

    Attributes:
        axis: which; -1: the last.
    """

    axis: int = -1


@config("permutation")
class PermutationConfig(BijectionConfig):
    """The entries of a vector in an order that is drawn once."""


@config("lu_linear")
class LULinearConfig(BijectionConfig):
    """A trained matrix by its LU decomposition, at first near the identity."""


@config("householder")
class HouseholderConfig(BijectionConfig):
    """A trained orthogonal matrix as a product of reflections.

    Attributes:
        num_reflections: how many; none: as many as entries.
    """

    num_reflections: PositiveInt | None = None


@config("cayley")
class CayleyConfig(BijectionConfig):
    """A trained rotation by Cayley's formula, at first near the identity."""


@config("inverse")
class InverseConfig(BijectionConfig):
    """Another layer with its directions swapped.

    Attributes:
        layer: the other.
    """

    layer: BijectionConfig = CouplingLayerConfig()


@config("chain")
class ChainConfig(BijectionConfig):
    """Layers one after the other.

    Attributes:
        layers: from the latent to the data.
    """

    layers: Annotated[tuple[BijectionConfig, ...], pydantic.Field(strict=False, min_length=1)] = (
        CouplingLayerConfig(mask="last"),
        CouplingLayerConfig(mask="first"),
    )


@config("scan")
class ScannedConfig(BijectionConfig):
    """Equal layers one after the other, compiled as one.

    Attributes:
        layer: each of them, with parameters of its own.
        num_layers: how many.
    """

    layer: BijectionConfig = ChainConfig()
    num_layers: PositiveInt = 4
