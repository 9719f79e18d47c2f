"""The noise level as the number that a network sees."""

from collections.abc import Callable
from functools import singledispatch

from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import LevelConfig, LogSNRLevelConfig, TimeLevelConfig
from artifex.generative_models.models.diffusion.paths import MAX_LOG_SNR, AbstractPath

_NUM_LEVELS = 1000.0

Level = Callable[[AbstractPath, Float[Array, ""]], Float[Array, ""]]


@singledispatch
def network_level(config: LevelConfig) -> Level:
    """The function from a path and a time to the number."""
    raise LookupError(f"no level is registered for {type(config).__name__}; use @network_level.register")


@network_level.register
def _(config: LogSNRLevelConfig) -> Level:
    # What a denoiser has to know, whatever the path calls the time; in [0, 1000] for the features.
    return lambda path, t: _NUM_LEVELS * (0.5 - 0.5 / MAX_LOG_SNR * path.log_snr(t))


@network_level.register
def _(config: TimeLevelConfig) -> Level:
    return lambda path, t: config.scale * t
