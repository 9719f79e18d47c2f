"""Configs of normalizing flows: any bijection, and the customary ones by name."""

import math
from typing import ClassVar, Literal

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.fields import PositiveFloat, PositiveInt
from artifex.generative_models.core.configuration.flow.bases import (
    LatentDensityConfig,
    LogisticLatentConfig,
    NormalLatentConfig,
    UniformSphereLatentConfig,
    UniformTorusLatentConfig,
)
from artifex.generative_models.core.configuration.flow.bijections import BijectionConfig
from artifex.generative_models.core.configuration.flow.intervals import REALS, Interval, interval_after
from artifex.generative_models.core.configuration.flow.layers import ScannedConfig
from artifex.generative_models.core.configuration.models import ModelConfig
from artifex.generative_models.core.configuration.networks import Activation


@config()
class FlowConfig(ModelConfig):
    """A bijection from latents of a simple density to examples.

    Attributes:
        latent: the density of the latents.
    """

    support: ClassVar[str] = "real"

    latent: LatentDensityConfig = NormalLatentConfig()


@config("flow")
class BijectionFlowConfig(FlowConfig):
    """A flow of any layers.

    Attributes:
        bijection: from latents to examples, on the flattened example.
    """

    bijection: BijectionConfig = ScannedConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        _ = self.data_interval

    @property
    def data_interval(self) -> Interval | None:
        """Least and greatest entry that an example can have; None: not known, or any."""
        latents = {UniformTorusLatentConfig: (-math.pi, math.pi), UniformSphereLatentConfig: (-1.0, 1.0)}
        interval = interval_after(self.bijection, latents.get(type(self.latent), REALS))
        return None if interval == REALS else interval


@config()
class VectorFlowConfig(FlowConfig):
    """Equal layers on the flattened example, compiled as one.

    Attributes:
        num_layers: how many.
        hidden_size: width of the network in each.
        num_hidden_layers: hidden layers of that network.
        activation: its nonlinearity.
        mixing: what stands between two layers, so that each entry meets all others.
        standardize: whether examples, and conditions that are arrays, are shifted and scaled to mean 0 and standard
            deviation 1, as the first batch of training or `initialized` sets it; densities are those of the examples
            as they are.
    """

    num_layers: PositiveInt = 8
    hidden_size: PositiveInt = 64
    num_hidden_layers: PositiveInt = 2
    activation: Activation = "gelu"
    mixing: Literal["reverse", "permutation", "lu_linear"] = "reverse"
    standardize: bool = False


@config("nice")
class NICEConfig(VectorFlowConfig):
    """Additive couplings, then a scale for each entry.

    Source: Dinh et al. 2015, arXiv:1410.8516. The volume is kept but by the last scale.
    """

    latent: LatentDensityConfig = LogisticLatentConfig()


@config("real_nvp")
class RealNVPConfig(VectorFlowConfig):
    """Affine couplings. Source: Dinh et al. 2017, arXiv:1605.08803, on vectors."""


@config("maf")
class MAFConfig(VectorFlowConfig):
    """Masked autoregressive layers with densities in one pass, samples one entry after the other.

    Source: Papamakarios et al. 2017, arXiv:1705.07057.
    """


@config("iaf")
class IAFConfig(VectorFlowConfig):
    """Masked autoregressive layers with samples in one pass, densities of given examples one entry after the other.

    Source: Kingma et al. 2016, arXiv:1606.04934.
    """


@config("nsf")
class NSFConfig(VectorFlowConfig):
    """Rational-quadratic splines, in couplings or autoregressive.

    Source: Durkan et al. 2019, arXiv:1906.04032.

    Attributes:
        is_autoregressive: whether an entry depends on all before it, with samples one entry after the other.
        num_bins: of each spline.
        bound: splines reach from -bound to bound; beyond they are the identity.
    """

    mixing: Literal["reverse", "permutation", "lu_linear"] = "lu_linear"
    is_autoregressive: bool = False
    num_bins: PositiveInt = 8
    bound: PositiveFloat = 5.0


@config("naf")
class NAFConfig(VectorFlowConfig):
    """Autoregressive layers whose entries go through monotone networks; densities in one pass.

    Source: Huang et al. 2018, arXiv:1804.00779. Deviation: see `MonotoneNetworkConfig`.

    Attributes:
        monotone_size: width of the monotone network of each entry.
    """

    num_layers: PositiveInt = 3
    monotone_size: PositiveInt = 8
