"""Metrics of a run, from its `metrics.jsonl`, as curves."""

import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from artifex.generative_models.training.logs import METRICS_FILE, read_records
from artifex.visualization.figures import NotebookFigure, plot_axes

_NOT_METRICS = {"step", "time", "split"}


def read_metrics(run_dir: str | os.PathLike) -> list[dict[str, Any]]:
    """All records of a run folder's `metrics.jsonl`, in the order in which they were written.

    A last line that was cut off, as by a killed run, is left out.

    Args:
        run_dir: the run folder, or the file itself.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: a line before the last is not JSON; the message names it.
    """
    path = Path(run_dir)
    path = path / METRICS_FILE if path.is_dir() else path
    if not path.is_file():
        raise FileNotFoundError(f"no metrics at {path}: is {Path(run_dir)} the folder of a run?")
    return read_records(path)


def metric_series(
    records: Iterable[Mapping[str, Any]],
) -> dict[str, dict[str, tuple[list[int], list[float]]]]:
    """Metric name to split to (steps, values), steps rising. Of two records of one step the later one holds.

    So the steps that a resumed run did again are there once.
    """
    values: dict[str, dict[str, dict[int, float]]] = {}
    for record in records:
        split = str(record.get("split", "train"))
        for name, value in record.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if name not in _NOT_METRICS and is_number and math.isfinite(value):
                values.setdefault(name, {}).setdefault(split, {})[int(record["step"])] = float(value)
    return {
        name: {
            split: (sorted(points), [points[s] for s in sorted(points)]) for split, points in splits.items()
        }
        for name, splits in values.items()
    }


def training_curves(
    run: str | os.PathLike | Iterable[Mapping[str, Any]], *, metrics: Iterable[str] = ("loss",)
) -> NotebookFigure:
    """Metrics against the training step, one panel each; training as a line, validation as a marked line.

    Args:
        run: a run folder, a metrics file, or records with `step`, maybe `split`, and metrics.
        metrics: names of the metrics to draw.

    Raises:
        ValueError: there are no records, or none has such a metric; the message lists the metrics there are.
    """
    records = read_metrics(run) if isinstance(run, str | os.PathLike) else list(run)
    series = metric_series(records)
    if not series:
        raise ValueError("there are no metrics to draw yet")
    names = list(metrics)
    missing = [name for name in names if name not in series]
    if missing or not names:
        raise ValueError(f"no metric {', '.join(missing) or '(none given)'}; there are: {', '.join(series)}")
    figure, panels = plot_axes(480 if len(names) > 1 else 640, 380, num_panels=len(names))
    for name, axes in zip(names, panels, strict=True):
        for split, (steps, values) in sorted(series[name].items()):
            is_training = split == "train"
            axes.plot(
                steps,
                values,
                label="training" if is_training else split,
                linewidth=1.0 if is_training else 1.6,
                marker=None if is_training and len(steps) > 1 else "o",
                markersize=3,
            )
        axes.set(xlabel="step", ylabel=name)
        axes.set_ylim(*_limits([value for _, values in series[name].values() for value in values]))
        axes.legend(frameon=False)
    return figure


def _limits(values: list[float]) -> tuple[float, float]:
    """Range that shows all but the steepest start: the first steps would press the rest into a flat line."""
    ordered = sorted(values)
    low, high = ordered[0], ordered[math.ceil(0.95 * (len(ordered) - 1))]
    if ordered[-1] - low <= 3 * (high - low):
        high = ordered[-1]
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin
