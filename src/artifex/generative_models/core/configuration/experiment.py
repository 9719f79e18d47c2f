"""Config of an experiment: data, model, training."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.data import DataConfig
from artifex.generative_models.core.configuration.models import ModelConfig
from artifex.generative_models.core.configuration.training import TrainingConfig


@config("experiment")
class Experiment(Config):
    """What the zoo names and the command line runs.

    Attributes:
        data: the data set, its splits, and the representation in which the model sees it.
        model: the model.
        training: how it is trained.
        description: one line for people.
    """

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig = TrainingConfig()
    description: str = ""
