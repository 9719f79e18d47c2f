"""Run folders: what they hold, and that no run writes over another unasked."""

import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from artifex.generative_models.core.configuration import (
    Experiment,
    first_difference,
    load_yaml,
    to_yaml,
)
from artifex.utils.files import atomic_path, check_can_write

CONFIG_FILE = "config.yaml"
EVALUATION_FILE = "evaluation.json"
PRETRAINING = "pretraining"  # folder of the part that is trained first: its metrics and checkpoints

# All that a run writes; `overwrite` removes this and nothing else.
_RUN_FILES = (
    CONFIG_FILE,
    EVALUATION_FILE,
    "metrics.jsonl",
    "events.out.tfevents.*",
    "checkpoints",
    PRETRAINING,
    "samples.png",
    "samples_*.png",
    "denoising.png",
    "density.png",
    "reconstructions.png",
    "loss.png",
)


class RunExistsError(FileExistsError):
    """A run folder holds something that would be overwritten.

    Attributes:
        run_dir: the folder.
        is_run: whether it holds a run, and not just other files.
    """

    def __init__(self, run_dir: Path, *, is_run: bool):
        self.run_dir = run_dir
        self.is_run = is_run
        super().__init__(
            f"{run_dir} holds a run already: resume it (`resume`), replace it (`overwrite`), "
            "or use another run folder"
            if is_run
            else f"{run_dir} is not empty and holds no run: use another run folder"
        )


class AnotherConfigError(ValueError):
    """A run folder holds a run of another config than the one given."""


def holds_run(run_dir: str | os.PathLike) -> bool:
    """Whether a folder is that of a run."""
    return (Path(run_dir) / CONFIG_FILE).is_file()


def load_experiment(run_dir: str | os.PathLike) -> Experiment:
    """The experiment of a run.

    Raises:
        FileNotFoundError: the folder holds no run.
        ConfigError: its config file does not describe an experiment.
    """
    if not holds_run(run_dir):
        what = "holds no run" if Path(run_dir).is_dir() else "does not exist"
        raise FileNotFoundError(f"run folder {run_dir} {what}: there is no {Path(run_dir) / CONFIG_FILE}")
    return load_yaml(Experiment, Path(run_dir) / CONFIG_FILE)


def check_run_dir(
    run_dir: str | os.PathLike, experiment: Experiment, *, resume: bool = False, overwrite: bool = False
) -> None:
    """Raise unless `experiment` may write to `run_dir`; changes nothing.

    Raises:
        RunExistsError: the folder holds a run, or other files, and nobody asked to resume or overwrite.
        AnotherConfigError: the run to resume has another config.
        NotADirectoryError: it is a file.
        PermissionError: it cannot be written to.
    """
    run_dir = Path(run_dir)
    if resume and overwrite:
        raise ValueError("give `resume` or `overwrite`, not both")
    check_can_write(run_dir, is_folder=True)
    if not run_dir.exists() or not any(run_dir.iterdir()):
        return
    if not holds_run(run_dir):
        raise RunExistsError(run_dir, is_run=False)
    if resume:
        difference = first_difference(experiment, load_experiment(run_dir))
        if difference is not None:
            raise AnotherConfigError(f"{run_dir} holds a run of another config: {difference}")
    elif not overwrite:
        raise RunExistsError(run_dir, is_run=True)


def begin_run_dir(run_dir: str | os.PathLike, experiment: Experiment, *, overwrite: bool = False) -> None:
    """Make the folder and write the experiment's config; `overwrite` removes the files of an older run first."""
    run_dir = Path(run_dir)
    if overwrite and holds_run(run_dir):
        _remove_run(run_dir)
    if not holds_run(run_dir):
        with atomic_path(run_dir / CONFIG_FILE) as temporary:
            temporary.write_text(to_yaml(experiment), encoding="utf-8")


def abandon_run_dir(run_dir: str | os.PathLike) -> None:
    """Remove a run that failed before its first checkpoint and its first metrics: there is nothing to go on with."""
    run_dir = Path(run_dir)
    if _has_results(run_dir) or _has_results(run_dir / PRETRAINING):
        return
    _remove_run(run_dir)
    if run_dir.is_dir() and not any(run_dir.iterdir()):
        run_dir.rmdir()


def _has_results(folder: Path) -> bool:
    metrics, checkpoints = folder / "metrics.jsonl", folder / "checkpoints"
    has_metrics = metrics.is_file() and metrics.stat().st_size > 0
    return has_metrics or (checkpoints.is_dir() and any(checkpoints.iterdir()))


def _remove_run(run_dir: Path) -> None:
    # The config last, so that what an error leaves is still known as a run.
    for pattern in reversed(_RUN_FILES):
        for path in run_dir.glob(pattern):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def write_evaluation(run_dir: str | os.PathLike, evaluation: Mapping[str, Any]) -> None:
    """Write measured values to the run folder, as JSON."""
    text = json.dumps(dict(evaluation), indent=2, allow_nan=False)
    with atomic_path(Path(run_dir) / EVALUATION_FILE) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
