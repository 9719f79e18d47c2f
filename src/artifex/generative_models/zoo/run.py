"""A whole experiment: load the data, create the model, train, evaluate; and a run's model back from its folder."""

import dataclasses
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Num

from artifex.data import AbstractDataset, DataSplits
from artifex.generative_models.core.configuration import Experiment, ModelConfig
from artifex.generative_models.core.evaluation import Evaluation
from artifex.generative_models.factory import create_model
from artifex.generative_models.modalities import evaluate, load_data
from artifex.generative_models.training import Callback, FitResult, fit, init_state, make_optimizer
from artifex.generative_models.training.checkpointing import CheckpointStore
from artifex.generative_models.training.fit import CHECKPOINTS
from artifex.generative_models.zoo.checks import check_fits
from artifex.generative_models.zoo.folders import (
    PRETRAINING,
    abandon_run_dir,
    begin_run_dir,
    check_run_dir,
    load_experiment,
    write_evaluation,
)
from artifex.generative_models.zoo.pretraining import make_pretraining


@dataclasses.dataclass(frozen=True)
class RunResult:
    """What a run leaves.

    Attributes:
        experiment: what was run.
        model: the trained model.
        data: the data, as the model saw them.
        fit: how the training went.
        evaluation: measured values on held-out data, by name; None: no data are held out.
        run_dir: where everything was written, or None.
    """

    experiment: Experiment
    model: Any
    data: DataSplits
    fit: FitResult
    evaluation: Evaluation | None
    run_dir: Path | None


def _no_callbacks(data: DataSplits) -> Sequence[Callback]:
    return ()


def run_experiment(
    experiment: Experiment,
    run_dir: str | os.PathLike | None = None,
    *,
    resume: bool = False,
    overwrite: bool = False,
    callbacks: Callable[[DataSplits], Sequence[Callback]] = _no_callbacks,
    progress: bool = True,
) -> RunResult:
    """Load the data, create the model, train it and evaluate it on held-out data.

    A part of the model that is to be trained first, is. All randomness comes from `experiment.training.seed`, and
    for that part from `experiment.pretraining.seed`. With a run folder, everything is written there: the config,
    metrics, checkpoints and the evaluation.

    Args:
        experiment: what to run.
        run_dir: the run folder, which is made; None: nothing is written.
        resume: go on with the run in the folder, if there is one; it must have the same config.
        overwrite: remove the run in the folder, if there is one.
        callbacks: makes callbacks of the training run from the data.
        progress: whether to show a progress bar.

    Raises:
        RunExistsError: the folder holds a run, or other files, and neither `resume` nor `overwrite` is set.
        AnotherConfigError: the run to resume has another config.
        FileNotFoundError: files of the data are missing.
        NonFiniteError: the loss or its gradient became NaN or infinite.
        InterruptedTrainingError: Ctrl-C or SIGTERM during training; the state is saved.
    """
    if run_dir is not None:
        check_run_dir(run_dir, experiment, resume=resume, overwrite=overwrite)
    model_key, fit_key, evaluation_key = jax.random.split(jax.random.key(experiment.training.seed), 3)
    data = load_data(experiment.data)
    model = create_model(experiment.model, key=model_key)
    check_fits(model, data, experiment.training)
    first = make_pretraining(experiment, data)
    if run_dir is not None:  # only now, so that wrong data or a wrong model leave no folder
        begin_run_dir(run_dir, experiment, overwrite=overwrite)
    try:
        if first is not None:
            model = first.run(
                model, None if run_dir is None else Path(run_dir) / PRETRAINING, progress=progress
            )
        result = fit(
            model,
            data.train,
            experiment.training,
            key=fit_key,
            run_dir=None if run_dir is None else Path(run_dir),
            callbacks=callbacks(data),
            validation=data.validation,
            progress=progress,
        )
    except BaseException:
        if run_dir is not None:
            abandon_run_dir(run_dir)
        raise
    held_out = data.test or data.validation
    evaluation = None if held_out is None else evaluate(result.model, held_out, key=evaluation_key)
    if run_dir is not None and evaluation is not None:
        write_evaluation(run_dir, evaluation.to_mapping())
    return RunResult(
        experiment, result.model, data, result, evaluation, None if run_dir is None else Path(run_dir)
    )


def load_run(run_dir: str | os.PathLike, *, step: int | None = None) -> tuple[Experiment, Any]:
    """The experiment and the trained model of a run, finished or not.

    Args:
        run_dir: the run folder.
        step: of which checkpoint; None: the newest that is whole.

    Raises:
        FileNotFoundError: the folder holds no run, or the run no checkpoint.
    """
    experiment = load_experiment(run_dir)
    # Shapes only: nothing is computed for parameters that the checkpoint replaces.
    like = eqx.filter_eval_shape(_new_state, experiment)
    arrays, _, _ = CheckpointStore(Path(run_dir) / CHECKPOINTS).restore(
        eqx.filter(like, _is_shape), step=step
    )
    return experiment, eqx.combine(arrays, eqx.filter(like, _is_shape, inverse=True)).trained_model


def _new_state(experiment: Experiment) -> Any:
    key = jax.random.key(experiment.training.seed)
    model = create_model(experiment.model, key=key)
    optimizer = make_optimizer(experiment.training)
    return init_state(model, optimizer, key=key, use_ema=experiment.training.ema_decay is not None)


def _is_shape(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)


def example_conditions(
    config: ModelConfig, data: AbstractDataset | None, num: int
) -> Num[Array, "num ..."] | None:
    """Conditions to show a model with: every class in turn, or those of the first examples; None: unconditional.

    Args:
        config: of the model.
        data: where arrays are taken from, repeated if there are too few.
        num: how many.
    """
    if config.num_classes is not None:
        return jnp.arange(num, dtype=jnp.int32) % config.num_classes
    if config.condition_shape is None:
        return None
    if data is None:
        raise ValueError("conditions of examples are needed: give `data`")
    return jnp.asarray(data.rows(np.arange(num) % len(data))["condition"])
