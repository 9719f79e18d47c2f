"""Configs of priors over the latent variables of a VAE."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import PositiveFloat, PositiveInt
from artifex.generative_models.core.configuration.flow import BijectionConfig, ScannedConfig


@config()
class PriorConfig(Config):
    """The distribution of the latents before an example is seen."""


@config("standard_normal")
class StandardNormalPriorConfig(PriorConfig):
    """Independent normal latents with mean 0 and scale 1."""


@config("gaussian_mixture")
class GaussianMixturePriorConfig(PriorConfig):
    """A mixture of diagonal Gaussians with learned weights, means and scales.

    Attributes:
        num_components: number of Gaussians.
        initial_spread: standard deviation of their means at the start; their scales start at 1.
    """

    num_components: PositiveInt = 16
    initial_spread: PositiveFloat = 1.0


@config("vamp")
class VampPriorConfig(PriorConfig):
    """The mean of the posteriors of learned pseudo-inputs (Tomczak & Welling 2018, arXiv:1705.07120, equation 9).

    Attributes:
        num_components: number of pseudo-inputs.
        initial_mean: mean of their entries at the start, in units of the data.
        initial_scale: standard deviation of their entries at the start.
    """

    num_components: PositiveInt = 64
    initial_mean: float = 0.5
    initial_scale: PositiveFloat = 0.1


@config("flow")
class FlowPriorConfig(PriorConfig):
    """What a bijection makes of standard normal latents; by default affine couplings (RealNVP).

    Training needs the density of given latents, so the bijection's inverse has to be fast: couplings, or
    autoregressive layers inside `inverse`. Source: Chen et al. 2017 (variational lossy autoencoder),
    arXiv:1611.02731, section 3.2.

    Attributes:
        bijection: from the normal latents to the latents.
    """

    bijection: BijectionConfig = ScannedConfig()
