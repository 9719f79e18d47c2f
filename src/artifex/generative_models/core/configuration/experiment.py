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
        pretraining: how the part of the model that is trained first (`model.pretrained_part`) is trained; null: the
            model has no such part.
        description: one line for people.
    """

    data: DataConfig
    model: ModelConfig
    training: TrainingConfig = TrainingConfig()
    pretraining: TrainingConfig | None = None
    description: str = ""

    def __post_init__(self) -> None:
        part = self.model.pretrained_part
        if part is not None and self.pretraining is None:
            raise ValueError(
                f"`pretraining` must say how the part {part.kind!r} of the model {self.model.kind!r} is trained, which "
                "comes first; got none. `pretraining: {kind: training}` takes the defaults."
            )
        if part is None and self.pretraining is not None:
            raise ValueError(
                f"`pretraining` must be null, as no part of the model {self.model.kind!r} is trained first; got "
                "one. How the model itself is trained stands in `training`."
            )
        if self.pretraining is not None and self.pretraining.sample_every is not None:
            raise ValueError(
                "`pretraining.sample_every` must be null, as pictures of samples are those of the whole model; got "
                f"{self.pretraining.sample_every}"
            )
