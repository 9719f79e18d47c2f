"""The first of two stages: a part of a model is trained as a model of its own, on the same data."""

import dataclasses
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from artifex.data import DataSplits, without_conditions
from artifex.generative_models.core.configuration import Experiment, TrainingConfig
from artifex.generative_models.factory import create_model
from artifex.generative_models.training import fit
from artifex.generative_models.training.callbacks import Progress
from artifex.generative_models.zoo.checks import check_fits

_SHOWN = 1024  # training examples from which the model measures what it needs to know about the part
_FIRST_STAGE = 1  # away from the numbers by which the second stage splits what may be the same seed


@dataclasses.dataclass(frozen=True)
class Pretraining:
    """What the first stage needs.

    Attributes:
        part: the part, untrained.
        data: what it is trained on.
        whole_data: the same with the conditions of the whole model.
        training: how it is trained.
        fit_key: randomness of its training.
        shown_key: randomness of what the whole model is shown then.
    """

    part: Any
    data: DataSplits
    whole_data: DataSplits
    training: TrainingConfig
    fit_key: Key[Array, ""]
    shown_key: Key[Array, ""]

    def run(self, model: Any, run_dir: Path | None, *, progress: bool) -> Any:
        """The whole model with the trained part.

        A run that is complete in its folder is not done again.

        Args:
            model: the whole model, without it.
            run_dir: where metrics and checkpoints of the part go; None: nowhere.
            progress: whether to show a progress bar.
        """
        try:
            result = fit(
                self.part,
                self.data.train,
                self.training,
                key=self.fit_key,
                run_dir=run_dir,
                callbacks=[Progress("pretraining")] if progress and jax.process_index() == 0 else [],
                validation=self.data.validation,
                progress=False,
            )
        except BaseException as error:
            error.add_note(f"This was the pretraining of the part {self.part.config.kind!r}.")
            raise
        rows_key, batch_key, model_key = jax.random.split(self.shown_key, 3)
        train = self.whole_data.train
        rows = np.sort(np.asarray(jax.random.permutation(rows_key, len(train)))[:_SHOWN])
        batch = train.batch(rows, key=batch_key)
        return model.with_pretrained(result.model, **batch, key=model_key)


def make_pretraining(experiment: Experiment, data: DataSplits) -> Pretraining | None:
    """The first stage of an experiment, checked as far as it can be before it runs; None: there is none.

    Raises:
        ValueError: the part cannot be trained on the data.
    """
    config, training = experiment.model.pretrained_part, experiment.pretraining
    if config is None or training is None:
        return None
    key = jax.random.fold_in(jax.random.key(training.seed), _FIRST_STAGE)
    part_key, fit_key, shown_key = jax.random.split(key, 3)
    part = create_model(config, key=part_key)
    its_data = _without_conditions(data) if config.condition_size == 0 else data
    check_fits(part, its_data, training, name="pretraining")
    return Pretraining(part, its_data, data, training, fit_key, shown_key)


def _without_conditions(data: DataSplits) -> DataSplits:
    parts = {
        name: None if part is None else without_conditions(part)
        for name, part in (("validation", data.validation), ("test", data.test))
    }
    return DataSplits(train=without_conditions(data.train), **parts, representation=data.representation)
