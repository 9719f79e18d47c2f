"""Training: one state, one pure step compiled once over a mesh, one driver."""

from artifex.generative_models.training.callbacks import (
    Checkpointing,
    EarlyStopping,
    Progress,
    Samples,
    Validation,
    mean_metrics,
)
from artifex.generative_models.training.events import (
    Advanced,
    Callback,
    Ended,
    Event,
    Logged,
    Reached,
    Run,
    Started,
)
from artifex.generative_models.training.fit import FitResult, NonFiniteError, fit
from artifex.generative_models.training.interrupts import InterruptedTrainingError
from artifex.generative_models.training.optimizers import (
    learning_rate_schedule,
    make_optimizer,
    update_rule,
)
from artifex.generative_models.training.state import TrainState, init_state
from artifex.generative_models.training.step import CompiledTrainStep, make_train_step, train_step
