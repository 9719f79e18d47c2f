"""Bijections of images from their configs."""

import math

from jaxtyping import Array, Key

from artifex.generative_models.core.configuration import (
    Conv1x1Config,
    ImageCouplingConfig,
    SplitConfig,
    SqueezeConfig,
    UnsqueezeConfig,
)
from artifex.generative_models.models.backbones.bijections.base import AbstractBijection
from artifex.generative_models.models.backbones.bijections.conv_1x1 import InvertibleConv1x1
from artifex.generative_models.models.backbones.bijections.image_coupling import (
    ChannelCoupling,
    CheckerboardCoupling,
)
from artifex.generative_models.models.backbones.bijections.make import make_bijection
from artifex.generative_models.models.backbones.bijections.split import Split
from artifex.generative_models.models.backbones.bijections.squeeze import Squeeze, Unsqueeze

_COUPLINGS = {
    "first": ChannelCoupling,
    "last": ChannelCoupling,
    "even": CheckerboardCoupling,
    "odd": CheckerboardCoupling,
}


@make_bijection.register
def _(
    config: SqueezeConfig, event_shape: tuple[int, ...], *, condition_size: int = 0, key: Key[Array, ""]
) -> AbstractBijection:
    return Squeeze(event_shape)


@make_bijection.register
def _(
    config: UnsqueezeConfig, event_shape: tuple[int, ...], *, condition_size: int = 0, key: Key[Array, ""]
) -> AbstractBijection:
    return Unsqueeze(event_shape)


@make_bijection.register
def _(
    config: Conv1x1Config, event_shape: tuple[int, ...], *, condition_size: int = 0, key: Key[Array, ""]
) -> AbstractBijection:
    return InvertibleConv1x1(event_shape, key=key)


@make_bijection.register
def _(
    config: ImageCouplingConfig, event_shape: tuple[int, ...], *, condition_size: int = 0, key: Key[Array, ""]
) -> AbstractBijection:
    return _COUPLINGS[config.mask](config, event_shape, condition_size=condition_size, key=key)


@make_bijection.register
def _(
    config: SplitConfig, event_shape: tuple[int, ...], *, condition_size: int = 0, key: Key[Array, ""]
) -> AbstractBijection:
    size = math.prod(event_shape)
    if len(event_shape) != 1 or size % 2:
        raise ValueError(f"`split` takes a vector of latents of even length; got the shape {event_shape}")
    return Split(make_bijection(config.rest, (size // 2,), condition_size=condition_size, key=key))
