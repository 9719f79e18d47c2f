"""In which interval the entries lie that layers of a flow return, from their configs alone.

So a chain that cannot be inverted is an error when it is written, and data outside of what a flow can make are known
before it is trained.
"""

import math
from collections.abc import Callable
from functools import singledispatch
from typing import NamedTuple

from artifex.generative_models.core.configuration.flow.bijections import BijectionConfig
from artifex.generative_models.core.configuration.flow.elementwise import (
    ExpLayerConfig,
    LeakyReLULayerConfig,
    LeakyTanhLayerConfig,
    LogitLayerConfig,
    ShiftScaleLayerConfig,
    SigmoidLayerConfig,
    SoftplusLayerConfig,
    TanhLayerConfig,
)
from artifex.generative_models.core.configuration.flow.images import SqueezeConfig, UnsqueezeConfig
from artifex.generative_models.core.configuration.flow.layers import (
    ChainConfig,
    InverseConfig,
    PermutationConfig,
    ReverseConfig,
    ScannedConfig,
)
from artifex.generative_models.core.configuration.flow.structured import ReshapeConfig

Interval = tuple[float, float]

REALS: Interval = (-math.inf, math.inf)


class _Map(NamedTuple):
    """An increasing map of the interval `domain` onto the interval `image`."""

    function: Callable[[float], float]
    inverse: Callable[[float], float]
    domain: Interval = REALS
    image: Interval = REALS

    def inverted(self) -> "_Map":
        return _Map(self.inverse, self.function, self.image, self.domain)


@singledispatch
def interval_after(
    config: BijectionConfig, before: Interval | None, *, is_forward: bool = True
) -> Interval | None:
    """Where the entries of what a layer returns lie, if those that it takes lie in an interval.

    Args:
        config: the layer's.
        before: least and greatest entry; None: not known.
        is_forward: whether the layer's forward map is asked for, or its inverse.

    Returns:
        Least and greatest entry; None: not known, as with most layers that are trained.

    Raises:
        ValueError: the layer does not take all numbers of the interval.
    """
    return None


@interval_after.register(ReverseConfig)
@interval_after.register(PermutationConfig)
@interval_after.register(ReshapeConfig)
@interval_after.register(SqueezeConfig)
@interval_after.register(UnsqueezeConfig)
def _(config: BijectionConfig, before: Interval | None, *, is_forward: bool = True) -> Interval | None:
    return before


@interval_after.register
def _(config: InverseConfig, before: Interval | None, *, is_forward: bool = True) -> Interval | None:
    return interval_after(config.layer, before, is_forward=not is_forward)


@interval_after.register
def _(config: ChainConfig, before: Interval | None, *, is_forward: bool = True) -> Interval | None:
    for layer in config.layers if is_forward else reversed(config.layers):
        before = interval_after(layer, before, is_forward=is_forward)
    return before


@interval_after.register
def _(config: ScannedConfig, before: Interval | None, *, is_forward: bool = True) -> Interval | None:
    for _ in range(config.num_layers):
        before = interval_after(config.layer, before, is_forward=is_forward)
    return before


@interval_after.register(ShiftScaleLayerConfig)
@interval_after.register(ExpLayerConfig)
@interval_after.register(SoftplusLayerConfig)
@interval_after.register(SigmoidLayerConfig)
@interval_after.register(LogitLayerConfig)
@interval_after.register(TanhLayerConfig)
@interval_after.register(LeakyTanhLayerConfig)
@interval_after.register(LeakyReLULayerConfig)
def _(config: BijectionConfig, before: Interval | None, *, is_forward: bool = True) -> Interval | None:
    scalar_map = _map_of(config) if is_forward else _map_of(config).inverted()
    if before is None:
        # Whatever they are, they lead into the image; all of it cannot be said of all numbers.
        return None if scalar_map.image == REALS else scalar_map.image
    (low, high), domain = before, scalar_map.domain
    if low < domain[0] or high > domain[1]:
        name = config.kind if is_forward else f"inverse of {config.kind}"
        raise ValueError(
            f"`{name}` takes entries in ({domain[0]:g}, {domain[1]:g}) alone, and those that reach it lie in "
            f"({low:g}, {high:g}): the flow has no inverse there. Layers go from latent to data: take the layer's "
            "`inverse`, or map the entries into that interval before."
        )
    return scalar_map.function(low), scalar_map.function(high)


@singledispatch
def _map_of(config: BijectionConfig) -> _Map:
    raise LookupError(f"no map is registered for {type(config).__name__}")


@_map_of.register
def _(config: ShiftScaleLayerConfig) -> _Map:
    return _Map(
        lambda x: config.shift + config.scale * x,
        lambda y: (y - config.shift) / config.scale,
    )


@_map_of.register
def _(config: ExpLayerConfig) -> _Map:
    return _Map(_exp, _log, image=(0.0, math.inf))


@_map_of.register
def _(config: SoftplusLayerConfig) -> _Map:
    return _Map(
        lambda x: max(x, 0.0) + math.log1p(math.exp(-abs(x))),
        lambda y: y + _log(-math.expm1(-y)),
        image=(0.0, math.inf),
    )


@_map_of.register
def _(config: SigmoidLayerConfig) -> _Map:
    return _Map(_sigmoid, _logit, image=(0.0, 1.0))


@_map_of.register
def _(config: LogitLayerConfig) -> _Map:
    return _Map(_logit, _sigmoid, domain=(0.0, 1.0))


@_map_of.register
def _(config: TanhLayerConfig) -> _Map:
    return _Map(math.tanh, lambda y: 0.5 * (_log(1.0 + y) - _log(1.0 - y)), image=(-1.0, 1.0))


@_map_of.register
def _(config: LeakyTanhLayerConfig) -> _Map:
    edge, slope = math.tanh(config.limit), math.cosh(config.limit) ** -2

    def function(x: float) -> float:
        inside = min(max(x, -config.limit), config.limit)
        return math.tanh(inside) + slope * (x - inside)

    def inverse(y: float) -> float:
        inside = min(max(y, -edge), edge)
        return math.atanh(inside) + (y - inside) / slope

    return _Map(function, inverse)


@_map_of.register
def _(config: LeakyReLULayerConfig) -> _Map:
    return _Map(
        lambda x: x if x >= 0 else config.slope * x,
        lambda y: y if y >= 0 else y / config.slope,
    )


def _exp(x: float) -> float:
    return math.exp(x) if x < 700.0 else math.inf


def _log(x: float) -> float:
    return math.log(x) if x > 0 else -math.inf


def _sigmoid(x: float) -> float:
    return 0.5 * (1.0 + math.tanh(0.5 * x))


def _logit(x: float) -> float:
    return _log(x) - _log(1.0 - x)
