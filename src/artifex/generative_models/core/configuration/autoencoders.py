"""What the configs of autoencoders with a grid of latents share."""

import abc

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.models import ModelConfig


@config()
class SpatialAutoencoderConfig(ModelConfig, abc.ABC):
    """A model of images through a smaller grid of real vectors, in which another model may work."""

    @property
    @abc.abstractmethod
    def latent_shape(self) -> tuple[int, int, int]:
        """Shape (channels, height, width) of one example's latents."""


def check_image_shape(event_shape: tuple[int, ...]) -> None:
    """Raise unless examples are images.

    Raises:
        ValueError: the shape has not three axes.
    """
    if len(event_shape) != 3:
        raise ValueError(f"`event_shape` must be that of images (channels, height, width); got {event_shape}")
