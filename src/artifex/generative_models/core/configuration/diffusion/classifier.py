"""Config of a classifier of noisy examples."""

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.diffusion.levels import LevelConfig, LogSNRLevelConfig
from artifex.generative_models.core.configuration.diffusion.networks import DenoiserConfig, MLPDenoiserConfig
from artifex.generative_models.core.configuration.diffusion.paths import LinearPathConfig, PathConfig
from artifex.generative_models.core.configuration.diffusion.training import (
    TimeDistributionConfig,
    UniformTimesConfig,
)
from artifex.generative_models.core.configuration.fields import PositiveInt
from artifex.generative_models.core.configuration.models import ModelConfig


@config("noisy_classifier")
class NoisyClassifierConfig(ModelConfig):
    """Classes of x_t, to guide a diffusion model on the same path (Dhariwal & Nichol 2021, arXiv:2105.05233).

    Attributes:
        network: what reads x_t; a linear map of its output gives the classes.
        path: how data turn into noise: that of the model to be guided.
        times: where on the path training examples lie.
        level: how the network is told the time.
    """

    num_classes: PositiveInt | None = 10
    network: DenoiserConfig = MLPDenoiserConfig()
    path: PathConfig = LinearPathConfig()
    times: TimeDistributionConfig = UniformTimesConfig()
    level: LevelConfig = LogSNRLevelConfig()

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.num_classes is None or self.num_classes < 2:
            raise ValueError(f"`num_classes` must be at least 2; got {self.num_classes}")
