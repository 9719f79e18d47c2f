"""Config of diffusion in the latents of an autoencoder."""

from artifex.generative_models.core.configuration.autoencoders import SpatialAutoencoderConfig
from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.diffusion.models import DiffusionConfig, FlowMatchingConfig
from artifex.generative_models.core.configuration.models import ModelConfig
from artifex.generative_models.core.configuration.vae import AutoencoderKLConfig


@config("latent_diffusion")
class LatentDiffusionConfig(ModelConfig):
    """A diffusion model of the latents of an autoencoder that is trained first (Rombach et al. 2022, arXiv:2112.10752).

    Attributes:
        autoencoder: of the examples, by itself without a condition or with the same one.
        diffusion: of its latents: `diffusion.event_shape` is the shape of the latents, and its conditions are those
            of the whole model.
    """

    autoencoder: SpatialAutoencoderConfig = AutoencoderKLConfig()
    diffusion: DiffusionConfig = FlowMatchingConfig(event_shape=(4, 4, 4))

    def __post_init__(self) -> None:
        super().__post_init__()
        latent_shape = self.autoencoder.latent_shape
        if self.autoencoder.event_shape != self.event_shape:
            raise ValueError(
                f"`autoencoder.event_shape` must be the model's `event_shape`, {self.event_shape}; got "
                f"{self.autoencoder.event_shape}"
            )
        if self.diffusion.event_shape != latent_shape:
            raise ValueError(
                f"`diffusion.event_shape` must be the shape of the autoencoder's latents, {latent_shape}; got "
                f"{self.diffusion.event_shape}"
            )
        conditions = (self.num_classes, self.condition_shape)
        for name, part in (("diffusion", self.diffusion), ("autoencoder", self.autoencoder)):
            is_free = name == "autoencoder" and part.condition_size == 0
            if not is_free and (part.num_classes, part.condition_shape) != conditions:
                raise ValueError(
                    f"`{name}` must have the model's conditions, `num_classes` {self.num_classes} and "
                    f"`condition_shape` {self.condition_shape}; got {part.num_classes} and {part.condition_shape}"
                )

    @property
    def pretrained_part(self) -> ModelConfig:
        """The autoencoder."""
        return self.autoencoder
