"""Configs of the variance of ancestral steps, and of the bound that they have."""

from typing import Annotated

from pydantic import Field

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import NonNegativeFloat, PositiveInt


@config()
class VarianceConfig(Config):
    """Variance of an ancestral step, between that of q(x_s | x_t, x_0) and that of q(x_t | x_s)."""


@config("fixed_small")
class FixedSmallVarianceConfig(VarianceConfig):
    """The least, right for data of one point (Ho et al. 2020, arXiv:2006.11239, section 3.2): beta tilde."""


@config("fixed_large")
class FixedLargeVarianceConfig(VarianceConfig):
    """The greatest, right for data of unit variance (Ho et al. 2020, arXiv:2006.11239, section 3.2): beta."""


@config("learned_range")
class LearnedRangeVarianceConfig(VarianceConfig):
    """Interpolated by the network, for each entry, on a log scale (Nichol & Dhariwal 2021, arXiv:2102.09672).

    Attributes:
        bound_weight: lambda of their equation 16, the weight of the bound, in bits per dimension, beside the loss.
    """

    bound_weight: NonNegativeFloat = 1e-3


@config("levels")
class BoundConfig(Config):
    """The variational bound on log p of data on equally spaced levels (Ho et al. 2020, arXiv:2006.11239).

    Its steps are those of ancestral sampling: with all levels of a DDPM's table, or on another path with `num_steps`
    equal steps in log-SNR, from a sigma / alpha of 40 times the range of levels to a third of their distance.

    Attributes:
        num_levels: number of values that an entry can take.
        low: lowest of them.
        high: highest of them.
        num_steps: steps on a path that has no table; the more, the tighter the bound.
        num_times: steps at which `elbo` looks in each example, drawn at random; None: at all of them.
    """

    num_levels: Annotated[int, Field(ge=2)] = 256
    low: float = -1.0
    high: float = 1.0
    num_steps: PositiveInt = 1000
    num_times: PositiveInt | None = 16

    def __post_init__(self) -> None:
        if self.low >= self.high:
            raise ValueError(f"`low` must be less than `high`; got {self.low} and {self.high}. Swapped?")
