"""Toy distributions from their configs."""

from functools import singledispatch

from artifex.data.toys.base import AbstractToy
from artifex.data.toys.checkerboard import Checkerboard
from artifex.data.toys.curves import Spirals, TwoMoons
from artifex.data.toys.gaussians import eight_gaussians, gaussian_grid
from artifex.data.toys.pinwheel import Pinwheel
from artifex.data.toys.rings import Rings
from artifex.data.toys.torus import TorusMixture
from artifex.generative_models.core.configuration import (
    CheckerboardConfig,
    EightGaussiansConfig,
    GaussianGridConfig,
    PinwheelConfig,
    RingsConfig,
    SpiralsConfig,
    TorusMixtureConfig,
    ToyConfig,
    TwoMoonsConfig,
)


@singledispatch
def make_toy(config: ToyConfig) -> AbstractToy:
    """The distribution that a config describes.

    >>> from artifex.generative_models.core.configuration import CheckerboardConfig
    >>> make_toy(CheckerboardConfig()).limits
    (-4.0, 4.0, -4.0, 4.0)
    """
    raise LookupError(f"no toy is registered for {type(config).__name__}; use @make_toy.register")


@make_toy.register
def _(config: TwoMoonsConfig) -> AbstractToy:
    return TwoMoons(config.noise)


@make_toy.register
def _(config: EightGaussiansConfig) -> AbstractToy:
    return eight_gaussians(config.radius, config.scale)


@make_toy.register
def _(config: GaussianGridConfig) -> AbstractToy:
    return gaussian_grid(config.num_per_side, config.spacing, config.scale)


@make_toy.register
def _(config: CheckerboardConfig) -> AbstractToy:
    return Checkerboard(config.size)


@make_toy.register
def _(config: SpiralsConfig) -> AbstractToy:
    return Spirals(config.radius, config.turns, config.noise)


@make_toy.register
def _(config: PinwheelConfig) -> AbstractToy:
    return Pinwheel(
        config.num_arms, config.radius, config.radial_scale, config.tangential_scale, config.twist
    )


@make_toy.register
def _(config: RingsConfig) -> AbstractToy:
    return Rings(config.num_rings, config.spacing, config.noise)


@make_toy.register
def _(config: TorusMixtureConfig) -> AbstractToy:
    return TorusMixture(config.num_modes, config.concentration)
