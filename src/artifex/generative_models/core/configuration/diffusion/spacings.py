"""Configs of where a sampler's steps lie."""

from collections.abc import Mapping
from typing import Any, ClassVar

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import PositiveFloat, PositiveInt


@config()
class SpacingConfig(Config):
    """The times at which a sampler stops, from noise to data. Every spacing goes with every sampler.

    A kind alone, such as "karras", is short for its config.
    """

    short_form: ClassVar[Mapping[str, Any] | None] = {"type": "string"}

    @classmethod
    def coerce(cls, value: Any) -> Any:
        """A string is taken for a kind."""
        return {"kind": value} if isinstance(value, str) else value


@config("uniform")
class UniformSpacingConfig(SpacingConfig):
    """Equal steps in time. On a table of discrete levels this is the spacing "trailing", not rounded to it."""


@config("power")
class PowerSpacingConfig(SpacingConfig):
    """t = u^exponent for equal steps in u: small steps near the data. DDIM's "quadratic" is exponent 2.

    Attributes:
        exponent: 1 is uniform.
    """

    exponent: PositiveFloat = 2.0


@config("karras")
class KarrasSpacingConfig(SpacingConfig):
    """Equal steps in (sigma / alpha)^(1/rho), then one to the data (Karras et al. 2022, arXiv:2206.00364, equation 5).

    Attributes:
        rho: 7 in the paper; larger puts more steps near the data.
        sigma_min: sigma / alpha before the last step.
        sigma_max: sigma / alpha at the start, if the path's is larger (or infinite).
    """

    rho: PositiveFloat = 7.0
    sigma_min: PositiveFloat = 0.002
    sigma_max: PositiveFloat = 80.0

    def __post_init__(self) -> None:
        if not self.sigma_min < self.sigma_max:
            raise ValueError(
                f"`sigma_max` must exceed `sigma_min`; got {self.sigma_max} and {self.sigma_min}. Swapped?"
            )


@config("log_snr")
class LogSNRSpacingConfig(SpacingConfig):
    """Equal steps in log-SNR, then one to the data (Lu et al. 2022, arXiv:2206.00927).

    Attributes:
        sigma_min: sigma / alpha before the last step.
        sigma_max: sigma / alpha at the start, if the path's is larger (or infinite).
    """

    sigma_min: PositiveFloat = 0.002
    sigma_max: PositiveFloat = 80.0

    def __post_init__(self) -> None:
        if not self.sigma_min < self.sigma_max:
            raise ValueError(
                f"`sigma_max` must exceed `sigma_min`; got {self.sigma_max} and {self.sigma_min}. Swapped?"
            )


@config("trailing")
class TrailingSpacingConfig(SpacingConfig):
    """Equal steps back from the last level of a table, rounded to its levels (Lin et al. 2023, arXiv:2305.08891).

    Attributes:
        num_levels: number of levels of the table on which the model was trained.
    """

    num_levels: PositiveInt = 1000


@config("leading")
class LeadingSpacingConfig(SpacingConfig):
    """Every k-th level of a table from its first on, k = num_levels // num_steps; the end of the table is left out.

    What DDIM and most older samplers do; the first step starts below full noise.

    Attributes:
        num_levels: number of levels of the table on which the model was trained.
        offset: level of the last stop before the data, counted from 0.
    """

    num_levels: PositiveInt = 1000
    offset: int = 0
