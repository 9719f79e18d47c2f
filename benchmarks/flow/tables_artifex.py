"""Artifex's side of the comparison on tables: its spline flow through `fit`."""

import importlib.metadata
import time
from typing import Any

import jax
import numpy as np

from artifex.data import Dataset
from artifex.generative_models.core.configuration import AdamConfig, NSFConfig, TrainingConfig
from artifex.generative_models.core.representations import Identity
from artifex.generative_models.core.trainable import count_parameters
from artifex.generative_models.factory import create_model
from artifex.generative_models.training import Reached, fit
from benchmarks.flow.tables_problem import SEED, Best, Settings, arguments, write


class Clock:
    """Callback: validates after each epoch; the clock starts when everything is compiled."""

    def __init__(self, rows: dict[str, np.ndarray], settings: Settings):
        self.every = len(rows["train"]) // settings.batch_size
        self.best: Best | None = None
        self.first_step = self.steps = 0
        self.training_seconds = 0.0
        self._validation, self._settings = rows["validation"], settings
        self._resumed = 0.0

    def __call__(self, run: Any, event: Any) -> None:
        """After an epoch; the first one only compiles."""
        if not isinstance(event, Reached):
            return
        model = run.model
        value = float(np.mean(model.log_prob(self._validation)))
        if self.best is None:
            self.best, self.first_step = Best(self._settings.seconds), event.step
        self.best.see(value, model, event.step)
        self.steps = event.step
        if self.best.is_over:
            run.stop("time")


def main() -> None:
    """Train and write."""
    folder, settings, rows = arguments()
    config = NSFConfig(
        event_shape=(rows["train"].shape[1],),
        num_layers=settings.num_layers,
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.num_hidden_layers,
        num_bins=settings.num_bins,
        bound=settings.bound,
        activation="relu",
        mixing="permutation",
    )
    model = create_model(config, key=jax.random.key(0))
    clock = Clock(rows, settings)
    training = TrainingConfig(
        num_steps=10**9,  # the clock stops the run
        batch_size=settings.batch_size,
        optimizer=AdamConfig(learning_rate=settings.learning_rate),
        log_every=clock.every,
    )
    batches = Dataset({"x": rows["train"]}, Identity()).batches(settings.batch_size, seed=SEED)
    begin = time.monotonic()
    fit(model, batches, training, key=jax.random.key(1), callbacks=[clock], progress=False)
    best = clock.best
    assert best is not None
    write(
        folder,
        "artifex",
        np.asarray(best.parameters.log_prob(rows["test"])),
        {
            "versions": {name: importlib.metadata.version(name) for name in ("artifex", "equinox", "jax")},
            "num_parameters": count_parameters(model),
            "validation_log_likelihood": best.value,
            "best_step": best.step,
            "steps": clock.steps,
            "seconds": round(best.seconds, 2),
            "seconds_before_the_clock": round(time.monotonic() - begin - best.seconds, 2),
            "milliseconds_per_step": 1e3 * best.seconds / (clock.steps - clock.first_step),
        },
    )


if __name__ == "__main__":
    main()
