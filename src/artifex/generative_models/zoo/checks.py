"""Whether a model, data and a way of training fit, before anything is written."""

from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax

from artifex.data import Dataset, DataSplits, as_batches
from artifex.generative_models.core.configuration import ModelConfig, TrainingConfig
from artifex.generative_models.core.examples import check_examples
from artifex.generative_models.scaling import check_batch_size, make_mesh
from artifex.generative_models.training import make_optimizer

_LOOK_AT = 64  # examples whose values are compared with what the model can take


def check_fits(model: Any, data: DataSplits, training: TrainingConfig, *, name: str = "training") -> None:
    """Find what cannot be trained before anything is written: schedules, batch size, devices, shapes.

    Args:
        model: to be trained.
        data: to train it on.
        training: how.
        name: of the field that `training` is in an experiment.

    Raises:
        ValueError: saying what does not fit, in terms of the experiment's fields.
    """
    make_optimizer(training)
    check_batch_size(make_mesh(training.mesh), training.batch_size)
    as_batches(data.train, training.batch_size, seed=training.seed)
    if training.validate_every is not None and data.validation is None:
        raise ValueError(
            f"`{name}.validate_every` is set, but no data are held out for validation: set it to null, or "
            "`data.validation_fraction` to more than 0"
        )
    key = jax.random.key(training.seed)
    batch = data.train.batch(range(min(_LOOK_AT, len(data.train))), key=key)
    _check_model(model.config, batch)
    if isinstance(data.train, Dataset):  # all labels are at hand
        check_examples(model.config, {k: v for k, v in data.train.arrays.items() if k == "condition"})
    eqx.filter_eval_shape(lambda model, batch: model.loss(**batch, key=key).total, model, batch)


def _check_model(config: ModelConfig, batch: Mapping[str, Any]) -> None:
    """Compare a model with its data, in terms of the experiment's fields."""
    found = batch["x"].shape[1:] if hasattr(batch["x"], "shape") else config.event_shape
    if found != config.event_shape:
        raise ValueError(
            f"`model.event_shape` must be the shape of the data's examples, {found}; got {config.event_shape}"
        )
    has_condition = "condition" in batch
    if (config.condition_size > 0) != has_condition:
        raise ValueError(
            "the data have conditions and the model takes none: set `model.num_classes`, or `data.conditional` to "
            "false"
            if has_condition
            else "the model is conditional and the data have no conditions: set `data.conditional` to true, or "
            "`model.num_classes` to null"
        )
    check_examples(config, batch)
