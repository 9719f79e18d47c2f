"""Configs of likelihoods: the distribution of the data around what a decoder puts out."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import PositiveFloat


@config()
class LikelihoodConfig(Config):
    """The distribution of one example, given a network's output.

    `support` says what the entries of an example are, in the words of `Representation.support`.
    """

    support: ClassVar[str] = "unknown"


@config("bernoulli")
class BernoulliConfig(LikelihoodConfig):
    """Entries in {0, 1}. For entries between 0 and 1 the loss is a cross-entropy and not a log-density."""

    support: ClassVar[str] = "binary"


@config("normal")
class NormalConfig(LikelihoodConfig):
    """Real entries with normal noise.

    Attributes:
        scale: standard deviation of the noise: its value, or where a learned one starts.
        scale_source: "fixed": always `scale`; "learned": one number for all entries, a parameter;
            "predicted": one for each entry, from the network.
        min_scale: lower limit of a learned or predicted scale; without one a perfect fit has infinite density.
    """

    support: ClassVar[str] = "real"

    scale: PositiveFloat = 1.0
    scale_source: Literal["fixed", "learned", "predicted"] = "fixed"
    min_scale: PositiveFloat = 1e-3

    def __post_init__(self) -> None:
        if self.scale_source != "fixed":
            _check_start(self.scale, self.min_scale)


@config("laplace")
class LaplaceConfig(LikelihoodConfig):
    """Real entries with Laplace noise: at a fixed scale, training lowers the mean absolute error.

    Attributes:
        scale: scale b of the noise, whose mean absolute value it is: its value, or where a learned one starts.
        scale_source: "fixed": always `scale`; "learned": one number for all entries, a parameter;
            "predicted": one for each entry, from the network.
        min_scale: lower limit of a learned or predicted scale; without one a perfect fit has infinite density.
    """

    support: ClassVar[str] = "real"

    scale: PositiveFloat = 1.0
    scale_source: Literal["fixed", "learned", "predicted"] = "fixed"
    min_scale: PositiveFloat = 1e-3

    def __post_init__(self) -> None:
        if self.scale_source != "fixed":
            _check_start(self.scale, self.min_scale)


@config("discretized_logistic")
class DiscretizedLogisticConfig(LikelihoodConfig):
    """Entries on a grid, as 8-bit images are (Salimans et al. 2017, arXiv:1701.05517, equation 2).

    Attributes:
        num_levels: number of values that an entry can take.
        low: lowest of them.
        high: highest of them.
        scale: where the scale of the logistic distribution starts, in units of the data.
        scale_source: "learned": one number for all entries, a parameter; "predicted": one for each entry, from
            the network.
        min_scale: lower limit of the scale.
    """

    support: ClassVar[str] = "levels"

    num_levels: Annotated[int, Field(ge=2)] = 256
    low: float = 0.0
    high: float = 1.0
    scale: PositiveFloat = 0.1
    scale_source: Literal["learned", "predicted"] = "predicted"
    min_scale: PositiveFloat = 1e-3

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"`low` must be less than `high`; got {self.low} and {self.high}. Swapped?")
        _check_start(self.scale, self.min_scale)


def _check_start(scale: float, min_scale: float) -> None:
    if scale <= min_scale:
        raise ValueError(f"`scale` must exceed `min_scale`; got {scale} and {min_scale}")
