"""Config of the autoencoder with a grid of Gaussian latents."""

from artifex.generative_models.core.configuration.autoencoders import (
    SpatialAutoencoderConfig,
    check_image_shape,
)
from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.fields import PositiveFloat, PositiveInt, Shape
from artifex.generative_models.core.configuration.likelihoods import LikelihoodConfig, NormalConfig
from artifex.generative_models.core.configuration.schedules import ConstantScheduleConfig, ScheduleConfig
from artifex.generative_models.core.configuration.vae.objectives import ElboConfig, check_objective_weights


@config("autoencoder_kl")
class AutoencoderKLConfig(SpatialAutoencoderConfig):
    """Convolutional autoencoder of images with a grid of Gaussian latents (Rombach et al. 2022, arXiv:2112.10752).

    Its KL weighs so little that latents are chosen for reconstruction; another model learns their distribution.

    Attributes:
        channels: channels of each level, from the image's size on, each half the size of the one before; sides of
            the image must be divisible by 2^(levels - 1).
        num_blocks: residual blocks of each level of the encoder; the decoder has one more.
        latent_channels: channels of the latents.
        has_middle_attention: whether pixels attend to each other at the smallest size.
        num_groups: groups of every norm; null: at most 8, of at least 4 channels.
        norm_epsilon: what a norm adds to the variance.
        has_latent_convolutions: whether a 1x1 convolution ends the encoder, and another begins the decoder.
        likelihood: distribution of an example around what the decoder puts out: "normal" lowers the squared error,
            "laplace" the absolute one.
        kl_weight: weight of the KL, by training step: a number, a warm-up or cycles.
        log_prob_samples: importance samples behind `log_prob`.
    """

    channels: Shape = (32, 64)
    num_blocks: PositiveInt = 1
    latent_channels: PositiveInt = 4
    has_middle_attention: bool = True
    num_groups: PositiveInt | None = None
    norm_epsilon: PositiveFloat = 1e-6
    has_latent_convolutions: bool = True
    likelihood: LikelihoodConfig = NormalConfig(scale=0.25, scale_source="learned", min_scale=0.01)
    kl_weight: ScheduleConfig = ConstantScheduleConfig(value=1e-6)
    log_prob_samples: PositiveInt = 64

    def __post_init__(self) -> None:
        super().__post_init__()
        check_image_shape(self.event_shape)
        check_objective_weights(ElboConfig(), self.kl_weight)
        if self.condition_size > 0:
            raise ValueError(
                "the autoencoder is unconditional: leave `num_classes` and `condition_shape` null"
            )
        factor = 2 ** (len(self.channels) - 1)
        if any(side % factor for side in self.event_shape[1:]):
            raise ValueError(
                f"`event_shape` sides must be divisible by {factor} = 2^(levels - 1), as there are "
                f"{len(self.channels)} `channels`; got {self.event_shape[1]}x{self.event_shape[2]}. Give fewer "
                "`channels`, or pad or crop the images."
            )
        if self.num_groups is not None and any(width % self.num_groups for width in self.channels):
            raise ValueError(
                f"`num_groups` must divide all `channels`; got {self.num_groups} and {self.channels}"
            )

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape (channels, height, width) of one example's latents."""
        factor = 2 ** (len(self.channels) - 1)
        height, width = (side // factor for side in self.event_shape[1:])
        return (self.latent_channels, height, width)
