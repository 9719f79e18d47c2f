"""Configs of the device mesh and of how arrays are split over it."""

import math
import re
from typing import Annotated

from pydantic import Field

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import PositiveInt
from artifex.utils.messages import unknown_name

MESH_AXES = ("data", "fsdp", "tensor")
AxisNames = Annotated[tuple[str | None, ...], Field(strict=False)]


@config("sharding_rule")
class ShardingRuleConfig(Config):
    """How the arrays whose path matches a pattern are split, in place of the automatic way.

    A path reads `model.encoder.layers.0.weight`. A rule holds for matching arrays with as many axes as `spec`
    has entries, so a rule for weights leaves an optimizer's row and column statistics alone.

    Attributes:
        pattern: regular expression, searched anywhere in the path.
        spec: for each axis of the array, the mesh axis (data, fsdp or tensor) that splits it; null: none.
    """

    pattern: str
    spec: AxisNames

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise ValueError(
                f"`pattern` must be a regular expression; got {self.pattern!r}: {error}"
            ) from None
        named = [name for name in self.spec if name is not None]
        for name in named:
            if name not in MESH_AXES:
                raise ValueError(unknown_name("mesh axis", name, MESH_AXES))
        if len(set(named)) != len(named):
            raise ValueError(f"`spec` may name each mesh axis once; got {self.spec}")


@config("mesh")
class MeshConfig(Config):
    """Devices as a grid of three axes; one device is a grid of one.

    The batch is split over `data` x `fsdp`. Parameters and optimizer state are split over `fsdp` and
    `tensor`, and repeated along `data`.

    Attributes:
        data: devices that repeat the parameters and split the batch; null: as many as remain.
        fsdp: devices that split both the batch and the parameters.
        tensor: devices that split the parameters within a layer, for layers too large for one device.
        rules: how particular arrays are split; the first match holds, all others are split automatically.
    """

    data: PositiveInt | None = None
    fsdp: PositiveInt = 1
    tensor: PositiveInt = 1
    rules: tuple[ShardingRuleConfig, ...] = ()

    @property
    def min_devices(self) -> int:
        """Fewest devices that the mesh needs."""
        return math.prod((self.data or 1, self.fsdp, self.tensor))
