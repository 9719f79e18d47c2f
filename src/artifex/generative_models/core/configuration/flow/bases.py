"""Configs of the densities from which normalizing flows start."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import PositiveFloat


@config()
class LatentDensityConfig(Config):
    """The density of a flow's latents: independent entries around 0."""


@config("normal")
class NormalLatentConfig(LatentDensityConfig):
    """Standard normal entries."""


@config("logistic")
class LogisticLatentConfig(LatentDensityConfig):
    """Standard logistic entries."""


@config("uniform_torus")
class UniformTorusLatentConfig(LatentDensityConfig):
    """Independent angles, uniform in [-pi, pi)."""


@config("uniform_sphere")
class UniformSphereLatentConfig(LatentDensityConfig):
    """Unit vectors, uniform on the sphere."""


@config("student_t")
class StudentTLatentConfig(LatentDensityConfig):
    """Entries of Student's t-distribution, for data with heavy tails, which no Lipschitz map makes of normal ones.

    Attributes:
        df: degrees of freedom: moments of this order and above are infinite.
    """

    df: PositiveFloat = 3.0
