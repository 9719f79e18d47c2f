"""Configs of posteriors over the latent variables of a VAE."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import NonNegativeInt
from artifex.generative_models.core.configuration.flow import (
    BijectionConfig,
    ChainConfig,
    MaskedAutoregressiveConfig,
    ReverseConfig,
    ScannedConfig,
)


@config()
class PosteriorConfig(Config):
    """The family of distributions of the latents after an example is seen, q(z|x)."""


@config("normal")
class NormalPosteriorConfig(PosteriorConfig):
    """Independent normal latents, whose means and scales are the encoder's output."""


@config("flow")
class FlowPosteriorConfig(PosteriorConfig):
    """What a bijection makes of independent normal latents; the encoder gives these and the bijection's condition.

    By default inverse autoregressive flow (Kingma et al. 2016, arXiv:1606.04934). A posterior's own samples are all
    whose density training needs, so the bijection's forward map has to be fast, and its inverse is not used, but for
    the estimator "dreg".

    Attributes:
        bijection: from the normal latents to the latents.
        context_size: length of the condition vector that the encoder gives to the bijection; 0: the bijection is the
            same for all examples.
    """

    bijection: BijectionConfig = ScannedConfig(
        layer=ChainConfig(layers=(MaskedAutoregressiveConfig(), ReverseConfig())), num_layers=2
    )
    context_size: NonNegativeInt = 64
