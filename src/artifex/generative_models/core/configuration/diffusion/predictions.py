"""Configs of what a diffusion model's network puts out."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import PositiveFloat


@config()
class PredictionConfig(Config):
    """What the network predicts. Every kind can be turned into every other."""


@config("noise")
class NoisePredictionConfig(PredictionConfig):
    """The noise (Ho et al. 2020, arXiv:2006.11239)."""


@config("data")
class DataPredictionConfig(PredictionConfig):
    """The data."""


@config("v")
class VPredictionConfig(PredictionConfig):
    """v = (alpha noise - sigma data) / sqrt(alpha^2 + sigma^2) (Salimans & Ho 2022, arXiv:2202.00512, appendix D)."""


@config("score")
class ScorePredictionConfig(PredictionConfig):
    """The score, -noise / sigma (Song et al. 2021, arXiv:2011.13456)."""


@config("velocity")
class VelocityPredictionConfig(PredictionConfig):
    """dx_t / dt = alpha' data + sigma' noise (Lipman et al. 2023, arXiv:2210.02747; from data to noise)."""


@config("edm")
class EDMPredictionConfig(PredictionConfig):
    """The output F of a preconditioned network: data = c_skip x + c_out F (Karras et al. 2022, arXiv:2206.00364).

    Attributes:
        sigma_data: standard deviation of the data.
    """

    sigma_data: PositiveFloat = 0.5
