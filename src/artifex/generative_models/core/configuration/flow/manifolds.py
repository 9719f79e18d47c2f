"""Configs of normalizing flows on the torus and on the sphere."""

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.fields import PositiveInt, Shape
from artifex.generative_models.core.configuration.flow.bases import (
    LatentDensityConfig,
    UniformSphereLatentConfig,
    UniformTorusLatentConfig,
)
from artifex.generative_models.core.configuration.flow.bijections import BijectionConfig
from artifex.generative_models.core.configuration.flow.models import FlowConfig
from artifex.generative_models.core.configuration.networks import Activation


@config("sphere_spline")
class SphereSplineConfig(BijectionConfig):
    """On the sphere in three dimensions: a spline of the height, then one of the longitude that depends on the height.

    Source: Rezende et al. 2020, arXiv:2002.02428, section 2.3.

    Attributes:
        num_bins: pieces of each spline.
        hidden_size: width of the network of the second.
        num_layers: its hidden layers.
        activation: its nonlinearity.
    """

    num_bins: PositiveInt = 8
    hidden_size: PositiveInt = 64
    num_layers: PositiveInt = 2
    activation: Activation = "gelu"


@config()
class ManifoldFlowConfig(FlowConfig):
    """A flow of uniform latents on a closed manifold.

    Attributes:
        num_layers: equal layers, compiled as one.
        hidden_size: width of the network in each.
        num_hidden_layers: hidden layers of that network.
        activation: its nonlinearity.
        num_bins: pieces of each spline.
    """

    num_layers: PositiveInt = 6
    hidden_size: PositiveInt = 64
    num_hidden_layers: PositiveInt = 2
    activation: Activation = "gelu"
    num_bins: PositiveInt = 8

    def _check_latent(self, wanted: type[LatentDensityConfig]) -> None:
        if not isinstance(self.latent, wanted):
            raise ValueError(f"`latent` must be {wanted.kind!r} on this manifold; got {self.latent.kind!r}")


@config("torus_flow")
class TorusFlowConfig(ManifoldFlowConfig):
    """Circular splines of angles, whose networks see cosines and sines of the others; densities have periods of 2 pi.

    Source: Rezende et al. 2020, arXiv:2002.02428, sections 2.2 and 2.3.

    Attributes:
        is_autoregressive: whether an angle depends on all before it, with samples one angle after the other; in place
            of couplings, which need two angles at least.
    """

    event_shape: Shape = (2,)
    latent: LatentDensityConfig = UniformTorusLatentConfig()
    is_autoregressive: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_latent(UniformTorusLatentConfig)


@config("sphere_flow")
class SphereFlowConfig(ManifoldFlowConfig):
    """Splines of cylinder coordinates, with trained rotations between, of unit vectors in three dimensions.

    Densities are with respect to the area. Source: Rezende et al. 2020, arXiv:2002.02428, section 2.3; the rotations
    are ours.
    """

    event_shape: Shape = (3,)
    latent: LatentDensityConfig = UniformSphereLatentConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        self._check_latent(UniformSphereLatentConfig)
        if self.event_shape != (3,):
            raise ValueError(
                f"`event_shape` must be (3,), unit vectors in three dimensions; got {self.event_shape}"
            )
