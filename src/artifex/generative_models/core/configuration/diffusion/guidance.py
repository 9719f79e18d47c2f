"""How strongly a sample follows its condition, and where on the way."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import NonNegativeFloat, PositiveFloat, UnitFloat


@config("extrapolated")
class GuidanceConfig(Config):
    """Extrapolation from a guide, such as the unconditional model, to the model and beyond.

    Attributes:
        scale: 0 the guide, 1 the model, more: stronger.
        sigma_min: least sigma / alpha at which there is guidance (Kynkaanniemi et al. 2024, arXiv:2404.07724).
        sigma_max: largest such.
        rescale: how far the spread of the guided estimate is brought back to the model's (Lin et al. 2023,
            arXiv:2305.08891, there 0.7).
    """

    scale: NonNegativeFloat = 1.0
    sigma_min: NonNegativeFloat = 0.0
    sigma_max: PositiveFloat = 1e9
    rescale: UnitFloat = 0.0

    def __post_init__(self) -> None:
        if not self.sigma_min < self.sigma_max:
            raise ValueError(
                f"`sigma_max` must exceed `sigma_min`; got {self.sigma_max} and {self.sigma_min}. Swapped?"
            )
