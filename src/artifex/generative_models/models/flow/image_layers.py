"""The layers of multi-scale flows of images, as configs of bijections from vectors of latents to images."""

from typing import Literal

from artifex.generative_models.core.configuration import (
    ActNormConfig,
    BijectionConfig,
    ChainConfig,
    Conv1x1Config,
    GlowConfig,
    ImageCouplingConfig,
    ImageFlowConfig,
    ImageRealNVPConfig,
    ReshapeConfig,
    ScannedConfig,
    SplitConfig,
    UnsqueezeConfig,
)
from artifex.generative_models.models.flow.layers import flow_layers


@flow_layers.register
def _(config: GlowConfig) -> BijectionConfig:
    coupling = ImageCouplingConfig(**_network(config), mask="last")
    step = ChainConfig(layers=(coupling, Conv1x1Config(), ActNormConfig()))
    steps = ScannedConfig(layer=step, num_layers=config.num_steps)
    # A density of what leaves, given what goes on: a coupling that makes it standard normal.
    density = ImageCouplingConfig(mask="first", num_blocks=0)
    channels, height, width = config.event_shape
    part = 2**config.num_levels
    coarsest = ReshapeConfig(shape=(2 * part * channels, height // part, width // part))
    layers: tuple[BijectionConfig, ...] = (coarsest, steps, UnsqueezeConfig())
    for _ in range(config.num_levels - 1):
        layers = (SplitConfig(rest=ChainConfig(layers=layers)), density, steps, UnsqueezeConfig())
    return ChainConfig(layers=layers)


@flow_layers.register
def _(config: ImageRealNVPConfig) -> BijectionConfig:
    checkerboards = _pairs(config, "even", "odd")
    halves = _pairs(config, "first", "last")
    channels, height, width = config.event_shape
    part = 2 ** (config.num_levels - 1)
    coarsest = ReshapeConfig(shape=(part * channels, height // part, width // part))
    layers: tuple[BijectionConfig, ...] = (coarsest, checkerboards)
    for _ in range(config.num_levels - 1):
        layers = (SplitConfig(rest=ChainConfig(layers=layers)), halves, UnsqueezeConfig(), checkerboards)
    return ChainConfig(layers=layers)


def _pairs(config: ImageFlowConfig, *masks: Literal["first", "last", "even", "odd"]) -> BijectionConfig:
    layers = []
    for mask in masks:
        layers += [ImageCouplingConfig(**_network(config), mask=mask), ActNormConfig()]
    return ScannedConfig(layer=ChainConfig(layers=tuple(layers)), num_layers=config.num_steps)


def _network(config: ImageFlowConfig) -> dict:
    return {
        "transformer": config.transformer,
        "hidden_channels": config.hidden_channels,
        "num_blocks": config.num_blocks,
        "activation": config.activation,
    }
