"""Configs of distributions of points in the plane whose density is known, and of data drawn from them."""

from typing import Any

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.data import DataConfig
from artifex.generative_models.core.configuration.fields import NonNegativeInt, PositiveFloat, PositiveInt


@config()
class ToyConfig(Config):
    """A distribution of points in the plane. A kind alone, such as "two_moons", is short for its config."""

    @classmethod
    def coerce(cls, value: Any) -> Any:
        """A string is taken for a kind."""
        return {"kind": value} if isinstance(value, str) else value


@config("two_moons")
class TwoMoonsConfig(ToyConfig):
    """Two half circles of radius 1, each with an end inside the other, and noise.

    Attributes:
        noise: its standard deviation.
    """

    noise: PositiveFloat = 0.1


@config("eight_gaussians")
class EightGaussiansConfig(ToyConfig):
    """Eight round Gaussians on a circle.

    Attributes:
        radius: of the circle.
        scale: standard deviation of each Gaussian.
    """

    radius: PositiveFloat = 2.0
    scale: PositiveFloat = 0.2


@config("gaussian_grid")
class GaussianGridConfig(ToyConfig):
    """Round Gaussians on a square grid around 0; by default 25.

    Attributes:
        num_per_side: Gaussians in a row.
        spacing: from one to the next.
        scale: standard deviation of each Gaussian.
    """

    num_per_side: PositiveInt = 5
    spacing: PositiveFloat = 1.0
    scale: PositiveFloat = 0.1


@config("checkerboard")
class CheckerboardConfig(ToyConfig):
    """The black cells of a board of 4 x 4, all alike; with its side of 8 the entropy is log 32.

    Attributes:
        size: side of the board, around 0.
    """

    size: PositiveFloat = 8.0


@config("spirals")
class SpiralsConfig(ToyConfig):
    """Two spirals, turned by half a turn, and noise.

    Attributes:
        radius: where a spiral ends.
        turns: how often it goes round.
        noise: its standard deviation.
    """

    radius: PositiveFloat = 3.0
    turns: PositiveFloat = 1.5
    noise: PositiveFloat = 0.1


@config("pinwheel")
class PinwheelConfig(ToyConfig):
    """Long Gaussians around 0, like spokes, twisted the more the farther out.

    Attributes:
        num_arms: how many.
        radius: distance of their means from 0.
        radial_scale: standard deviation along a spoke.
        tangential_scale: standard deviation across.
        twist: radians at the means, growing exponentially outwards: `twist * exp(distance / radius - 1)`.
    """

    num_arms: PositiveInt = 5
    radius: PositiveFloat = 2.0
    radial_scale: PositiveFloat = 0.6
    tangential_scale: PositiveFloat = 0.2
    twist: float = 0.7


@config("rings")
class RingsConfig(ToyConfig):
    """Circles around 0, all alike, and noise.

    Attributes:
        num_rings: how many.
        spacing: radius of the first, and from one to the next.
        noise: its standard deviation.
    """

    num_rings: PositiveInt = 3
    spacing: PositiveFloat = 1.0
    noise: PositiveFloat = 0.1


@config("torus_mixture")
class TorusMixtureConfig(ToyConfig):
    """Pairs of angles around points of a line that winds round the torus; for data that are not standardized.

    Attributes:
        num_modes: how many points.
        concentration: of each angle around a point, about 1 / variance.
    """

    num_modes: PositiveInt = 5
    concentration: PositiveFloat = 8.0


@config("toy")
class ToyDataConfig(DataConfig):
    """Points drawn from a distribution with a known density; the three parts share no point.

    Attributes:
        dataset: which distribution.
        standardize: whether a model sees each coordinate with mean 0 and standard deviation 1.
        conditional: whether a model also gets the number of the component (moon, Gaussian, ring, ...), as its
            condition.
        num_examples: points to train on.
        validation_size: points for validation; 0: none.
        test_size: points for the test; 0: none.
        seed: of the draw.
    """

    dataset: ToyConfig = TwoMoonsConfig()
    standardize: bool = True
    conditional: bool = False
    num_examples: PositiveInt = 50_000
    validation_size: NonNegativeInt = 2_000
    test_size: NonNegativeInt = 2_000
    seed: NonNegativeInt = 0
