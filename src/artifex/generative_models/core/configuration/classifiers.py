"""Configs of classifiers, by which generated examples are judged."""

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.fields import PositiveInt
from artifex.generative_models.core.configuration.models import ModelConfig
from artifex.generative_models.core.configuration.networks import ConvEncoderConfig


@config("image_classifier")
class ImageClassifierConfig(ModelConfig):
    """A small convolutional classifier of pictures.

    Attributes:
        num_levels: values of a stored pixel, from 0 to `num_levels - 1`.
        encoder: from a picture to its features.
        num_features: how many features there are.
    """

    num_classes: PositiveInt = 10
    num_levels: PositiveInt = 17
    encoder: ConvEncoderConfig = ConvEncoderConfig(channels=(32, 64))
    num_features: PositiveInt = 64

    def __post_init__(self) -> None:
        if self.num_levels < 2:
            raise ValueError(f"`num_levels` must be at least 2; got {self.num_levels}")
