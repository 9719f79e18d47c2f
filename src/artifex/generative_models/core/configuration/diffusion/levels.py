"""Configs of how a network is told the noise level."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import PositiveFloat


@config()
class LevelConfig(Config):
    """The number that stands for a time at a network's input."""


@config("log_snr")
class LogSNRLevelConfig(LevelConfig):
    """The log signal-to-noise ratio, as a number from 0 to 1,000: the same on all paths."""


@config("time")
class TimeLevelConfig(LevelConfig):
    """Time itself: it changes evenly up to both ends, which models of few steps need, that differentiate by it.

    Attributes:
        scale: the number at t = 1; the fastest features have a period of 2 pi.
    """

    scale: PositiveFloat = 10.0
