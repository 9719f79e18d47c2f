"""The pictures of a run folder: samples, reconstructions, loss."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from jaxtyping import Array, Key, PyTree

from artifex.data import AbstractDataset, DataSplits
from artifex.generative_models.core.configuration import Experiment
from artifex.generative_models.core.representations import AbstractRepresentation
from artifex.generative_models.training import Callback, Samples
from artifex.generative_models.zoo import RunResult, example_conditions
from artifex.visualization import reconstructions, save_figure, save_images, training_curves

SAMPLES, RECONSTRUCTIONS, LOSS = "samples.png", "reconstructions.png", "loss.png"
_NUM_SAMPLES = 64
_NUM_RECONSTRUCTIONS = 20


def sample_pictures(
    experiment: Experiment, run_dir: Path, *, key: Key[Array, ""]
) -> Callable[[DataSplits], Sequence[Callback]]:
    """Callbacks that write `samples.png` during training, as often as `sample_every` says."""

    def callbacks(data: DataSplits) -> Sequence[Callback]:
        if experiment.training.sample_every is None:
            return ()
        samples = Samples(
            lambda x, step: save_examples(run_dir / SAMPLES, x, data.representation),
            every=experiment.training.sample_every,
            n_samples=_NUM_SAMPLES,
            key=key,
            condition=example_conditions(experiment.model, data.train, _NUM_SAMPLES),
        )
        return (samples,)

    return callbacks


def write_pictures(result: RunResult, run_dir: Path, *, key: Key[Array, ""]) -> list[str]:
    """Write all pictures that the model allows.

    Returns:
        The names of the files.
    """
    condition = example_conditions(result.experiment.model, result.data.train, _NUM_SAMPLES)
    x = result.model.generate(_NUM_SAMPLES, key=key, condition=condition)
    save_examples(run_dir / SAMPLES, x, result.data.representation)
    written = [SAMPLES]
    held_out = result.data.test or result.data.validation or result.data.train
    if hasattr(result.model, "reconstruct"):
        _write_reconstructions(run_dir / RECONSTRUCTIONS, result.model, held_out, key=key)
        written.append(RECONSTRUCTIONS)
    if result.fit.records:
        save_figure(run_dir / LOSS, training_curves(result.fit.records))
        written.append(LOSS)
    return written


def save_examples(path: str | os.PathLike, x: PyTree[Array], representation: AbstractRepresentation) -> None:
    """Write examples in the model's form as one picture, a nearly square sheet."""
    save_images(path, representation.decode(x), max_value=white_of(representation))


def white_of(representation: AbstractRepresentation) -> int | None:
    """The value of white in decoded pictures; None: not known."""
    num_levels = getattr(representation, "num_levels", None)
    return None if num_levels is None else num_levels - 1


def _write_reconstructions(path: Path, model: Any, data: AbstractDataset, *, key: Key[Array, ""]) -> None:
    batch = data.batch(range(min(_NUM_RECONSTRUCTIONS, len(data))), key=jax.random.fold_in(key, 1))
    decode = data.representation.decode
    made = model.reconstruct(batch["x"], batch.get("condition"))
    figure = reconstructions(decode(batch["x"]), decode(made), max_value=white_of(data.representation))
    save_figure(path, figure)
