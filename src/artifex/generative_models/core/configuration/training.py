"""Config of a training run."""

from typing import Literal

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import (
    Fraction,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from artifex.generative_models.core.configuration.optimizers import AdamConfig, OptimizerConfig
from artifex.generative_models.core.configuration.scaling import MeshConfig
from artifex.generative_models.core.configuration.schedules import ConstantScheduleConfig, ScheduleConfig


@config("training")
class TrainingConfig(Config):
    """How a model is trained.

    Attributes:
        num_steps: optimizer steps in all.
        batch_size: examples in a step, over all devices.
        optimizer: the optimizer and its learning rate.
        schedule: factor on the learning rate, as a function of the step.
        gradient_clip_norm: gradients with a larger global norm are scaled down to it; null: never.
        accumulate_steps: the gradient is the mean over so many equal parts of the batch, one after the other, which
            divides the memory for activations; 1: the batch at once.
        ema_decay: decay of an exponential moving average of the parameters, which then is the trained model; null:
            none.
        precision: type in which networks compute; parameters, norms and losses are float32 always.
        nonfinite: what to do at a step whose loss or gradient is not finite: stop the run, or skip the update.
        steps_per_dispatch: at most so many steps in one call of the compiled program.
        log_every: steps between logged metrics, which are means over those steps.
        validate_every: steps between evaluations of the loss on validation data; null: never.
        checkpoint_every: steps between checkpoints; null: one at the end.
        sample_every: steps between pictures of samples; null: never.
        keep_checkpoints: how many of the newest checkpoints stay.
        early_stopping_patience: stop after so many validations without a better loss; null: never.
        mesh: devices and how arrays are split over them.
        seed: the order of the data, and all other randomness of a run from the command line.
    """

    num_steps: PositiveInt = 2000
    batch_size: PositiveInt = 128
    optimizer: OptimizerConfig = AdamConfig()
    schedule: ScheduleConfig = ConstantScheduleConfig()
    gradient_clip_norm: PositiveFloat | None = None
    accumulate_steps: PositiveInt = 1
    ema_decay: Fraction | None = None
    precision: Literal["float32", "bfloat16"] = "float32"
    nonfinite: Literal["stop", "skip"] = "stop"
    steps_per_dispatch: PositiveInt = 16
    log_every: PositiveInt = 50
    validate_every: PositiveInt | None = None
    checkpoint_every: PositiveInt | None = None
    sample_every: PositiveInt | None = None
    keep_checkpoints: PositiveInt = 3
    early_stopping_patience: PositiveInt | None = None
    mesh: MeshConfig = MeshConfig()
    seed: NonNegativeInt = 0

    def __post_init__(self) -> None:
        if self.batch_size % self.accumulate_steps:
            raise ValueError(
                f"`accumulate_steps` must divide `batch_size`; got {self.accumulate_steps} and {self.batch_size}"
            )
        if self.early_stopping_patience is not None and self.validate_every is None:
            raise ValueError("`early_stopping_patience` counts validations: set `validate_every` too")
