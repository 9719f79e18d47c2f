"""The pictures of a run folder: samples, how they come out of noise, reconstructions, density, loss."""

import os
import warnings
from functools import singledispatch
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key, PyTree

from artifex.data import AbstractDataset, DataSplits
from artifex.generative_models.core.configuration import Experiment
from artifex.generative_models.core.protocols import DenoisingModel, DensityModel, LatentModel
from artifex.generative_models.core.representations import AbstractRepresentation
from artifex.generative_models.modalities.tabular import TableRows
from artifex.generative_models.modalities.toy import ToyPoints
from artifex.generative_models.training import Event, Reached, Run
from artifex.generative_models.zoo import RunResult, example_conditions
from artifex.visualization import (
    denoising_strip,
    density_map,
    pair_plot,
    point_scatter,
    reconstructions,
    save_figure,
    save_images,
    training_curves,
    trajectories_2d,
)

SAMPLES, RECONSTRUCTIONS, DENSITY, LOSS = "samples.png", "reconstructions.png", "density.png", "loss.png"
DENOISING = "denoising.png"
PAIRS = "pairs.png"
_NUM_SAMPLES = 64
_NUM_POINTS = 2000
_NUM_COLUMNS = 6  # of a table, in a picture
_NUM_RECONSTRUCTIONS = 20
_NUM_DENOISED = 8
_NUM_WAYS = 100
_NUM_STOPS = 50
_DENSITY_CHUNK = 1000


class SamplePictures:
    """Callback that writes `samples.png` during training, the same samples each time."""

    def __init__(self, experiment: Experiment, data: DataSplits, run_dir: Path, *, key: Key[Array, ""]):
        """Args:
        experiment: says how often (`training.sample_every`).
        data: gives the representation, and conditions where a model takes some.
        run_dir: the run folder.
        key: randomness of the samples.
        """
        self.every = experiment.training.sample_every
        self._representation = data.representation
        self._num = _num_samples(data.representation)
        self._condition = example_conditions(experiment.model, data.train, self._num)
        self._path = run_dir / SAMPLES
        self._key = key

    def __call__(self, run: Run, event: Event) -> None:
        """Write the picture when asked; without one, training goes on: a model may overflow before it has learned."""
        if isinstance(event, Reached):
            try:
                self.write(run.model)
            except FloatingPointError as error:
                warnings.warn(f"no picture of samples at step {event.step}: {error}", stacklevel=2)

    def write(self, model: Any) -> None:
        """Write the picture."""
        x = new_examples(model, self._num, key=self._key, condition=self._condition)
        save_examples(self._path, x, self._representation, key=self._key)


def write_pictures(result: RunResult, run_dir: Path, *, key: Key[Array, ""]) -> list[str]:
    """Write all pictures that the model allows.

    Returns:
        The names of the files.
    """
    SamplePictures(result.experiment, result.data, run_dir, key=key).write(result.model)
    written = [SAMPLES, *_write_more(result.data.representation, result, run_dir, key)]
    if result.fit.records:
        save_figure(run_dir / LOSS, training_curves(result.fit.records))
        written.append(LOSS)
    return written


def new_examples(
    model: Any, num: int, *, key: Key[Array, ""], condition: PyTree[Array] | None
) -> PyTree[Array]:
    """What pictures show: means without the noise of the likelihood where a model has them, otherwise samples."""
    make = getattr(model, "generate_mean", model.generate)
    return make(num, key=key, condition=condition)


def save_examples(
    path: str | os.PathLike, x: PyTree[Array], representation: AbstractRepresentation, *, key: Key[Array, ""]
) -> None:
    """Write examples in the model's form as one picture: images, points beside true ones, or pairs of columns.

    Args:
        path: the file.
        x: the examples.
        representation: what they mean.
        key: randomness of the true points.
    """
    _save_decoded(representation, path, representation.decode(x), key)


def white_of(representation: AbstractRepresentation) -> int | None:
    """The value of white in decoded pictures; None: not known."""
    num_levels = getattr(representation, "num_levels", None)
    return None if num_levels is None else num_levels - 1


@singledispatch
def _num_samples(representation: AbstractRepresentation) -> int:
    """How many samples a picture shows. What is not registered is taken for images, here and below."""
    return _NUM_SAMPLES


@_num_samples.register
def _(representation: ToyPoints | TableRows) -> int:
    return _NUM_POINTS


@singledispatch
def _save_decoded(
    representation: AbstractRepresentation,
    path: str | os.PathLike,
    examples: PyTree[Array],
    key: Key[Array, ""],
) -> None:
    save_images(path, examples, max_value=white_of(representation))


@_save_decoded.register
def _(
    representation: ToyPoints, path: str | os.PathLike, examples: PyTree[Array], key: Key[Array, ""]
) -> None:
    truth = representation.toy.sample(len(examples), key=jax.random.fold_in(key, 2))
    save_figure(path, point_scatter(examples, truth, limits=representation.toy.limits))


@_save_decoded.register
def _(
    representation: TableRows, path: str | os.PathLike, examples: PyTree[Array], key: Key[Array, ""]
) -> None:
    columns = representation.columns[:_NUM_COLUMNS]
    save_figure(path, pair_plot(np.asarray(examples)[:, :_NUM_COLUMNS], names=columns))


@singledispatch
def _write_more(
    representation: AbstractRepresentation, result: RunResult, run_dir: Path, key: Key[Array, ""]
) -> list[str]:
    """Pictures beside the samples, as the modality and the model allow; returns the names of the files."""
    written = []
    held_out = result.data.test or result.data.validation or result.data.train
    if isinstance(result.model, LatentModel):
        _write_reconstructions(run_dir / RECONSTRUCTIONS, result.model, held_out, key=key)
        written.append(RECONSTRUCTIONS)
    if isinstance(result.model, DenoisingModel) and len(result.experiment.model.event_shape) == 3:
        _write_denoising(run_dir / DENOISING, result, key=key)
        written.append(DENOISING)
    return written


@_write_more.register
def _(representation: ToyPoints, result: RunResult, run_dir: Path, key: Key[Array, ""]) -> list[str]:
    written = []
    if isinstance(result.model, DenoisingModel):
        _write_ways(run_dir / DENOISING, result, representation, key=key)
        written.append(DENOISING)
    # Given a condition, there is a density for each.
    if isinstance(result.model, DensityModel) and result.experiment.model.condition_size == 0:
        _write_density(run_dir / DENSITY, result.model, representation, key=key)
        written.append(DENSITY)
    return written


@_write_more.register
def _(representation: TableRows, result: RunResult, run_dir: Path, key: Key[Array, ""]) -> list[str]:
    """New rows beside held-out ones."""
    held_out = result.data.test or result.data.validation or result.data.train
    chosen = np.asarray(jax.random.permutation(jax.random.fold_in(key, 1), len(held_out)))[:_NUM_POINTS]
    rows = held_out.rows(chosen)
    x = result.model.generate(len(chosen), key=key, condition=rows.get("condition"))
    made = np.asarray(representation.decode(x))[:, :_NUM_COLUMNS]
    names = representation.columns[:_NUM_COLUMNS]
    save_figure(run_dir / PAIRS, pair_plot(made, rows["x"][:, :_NUM_COLUMNS], names=names))
    return [PAIRS]


def _write_reconstructions(path: Path, model: Any, data: AbstractDataset, *, key: Key[Array, ""]) -> None:
    batch = data.batch(range(min(_NUM_RECONSTRUCTIONS, len(data))), key=jax.random.fold_in(key, 1))
    decode = data.representation.decode
    made = model.reconstruct(batch["x"], batch.get("condition"))
    figure = reconstructions(decode(batch["x"]), decode(made), max_value=white_of(data.representation))
    save_figure(path, figure)


def _write_denoising(path: Path, result: RunResult, *, key: Key[Array, ""]) -> None:
    """The way to the first of the samples."""
    condition = example_conditions(result.experiment.model, result.data.train, _NUM_DENOISED)
    stops = result.model.denoising(_NUM_DENOISED, key=key, condition=condition)
    representation = result.data.representation
    save_figure(path, denoising_strip(representation.decode(stops), max_value=white_of(representation)))


def _write_ways(path: Path, result: RunResult, points: ToyPoints, *, key: Key[Array, ""]) -> None:
    """Those to the first of the samples, over the true density."""
    condition = example_conditions(result.experiment.model, result.data.train, _NUM_WAYS)
    stops = result.model.denoising(_NUM_WAYS, key=key, condition=condition, num_stops=_NUM_STOPS)
    stored = points.decode(stops.reshape(-1, 2)).reshape(stops.shape)
    save_figure(path, trajectories_2d(stored, density=lambda x: np.exp(points.toy.log_prob(x))))


def _write_density(path: Path, model: DensityModel, points: ToyPoints, *, key: Key[Array, ""]) -> None:
    """The density of the stored points, beside the true one."""

    def log_prob(stored: np.ndarray) -> np.ndarray:
        parts = (stored[i : i + _DENSITY_CHUNK] for i in range(0, len(stored), _DENSITY_CHUNK))
        return np.concatenate(
            [model.log_prob(points.encode(part), key=key) + points.log_det(part) for part in parts]
        )

    save_figure(path, density_map(log_prob, points.toy.limits, true_log_prob=points.toy.log_prob))
