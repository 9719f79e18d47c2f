"""Training curves from a run folder's metrics."""

import json

import pytest

from artifex import visualization
from artifex.visualization.curves import metric_series

RECORDS = [
    {"step": 1, "time": 0.1, "split": "train", "loss": 9.0, "kl": 1.0},
    {"step": 2, "time": 0.2, "split": "train", "loss": 5.0, "kl": 2.0},
    {"step": 2, "time": 0.2, "split": "validation", "loss": 6.0},
    {"step": 2, "time": 0.9, "split": "train", "loss": 4.0, "kl": float("nan"), "note": "again"},
]


def write(folder, text):
    (folder / "metrics.jsonl").write_text(text)
    return folder


def lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def test_reads_what_was_written(tmp_path):
    assert visualization.read_metrics(write(tmp_path, lines(RECORDS[:3]))) == RECORDS[:3]


def test_a_last_line_cut_off_by_a_kill_is_left_out(tmp_path):
    folder = write(tmp_path, lines(RECORDS[:2]) + '{"step": 3, "lo')
    assert visualization.read_metrics(folder) == RECORDS[:2]


def test_other_bad_lines_and_missing_files_are_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="folder of a run"):
        visualization.read_metrics(tmp_path)
    with pytest.raises(ValueError, match="line 2"):
        visualization.read_metrics(write(tmp_path, lines(RECORDS[:1]) + "{broken\n" + lines(RECORDS[:1])))


def test_series_keep_the_later_of_two_records_and_no_nan():
    series = metric_series(RECORDS)
    assert series["loss"] == {"train": ([1, 2], [9.0, 4.0]), "validation": ([2], [6.0])}
    assert series["kl"] == {"train": ([1, 2], [1.0, 2.0])}
    assert set(series) == {"loss", "kl"}


def test_curves_show_both_splits(tmp_path):
    figure = visualization.training_curves(write(tmp_path, lines(RECORDS[:3])))
    axes = figure.axes[0]
    drawn = {line.get_label(): line.get_xydata().tolist() for line in axes.lines}
    assert drawn == {"training": [[1.0, 9.0], [2.0, 5.0]], "validation": [[2.0, 6.0]]}


def test_one_panel_for_each_metric_asked_for():
    figure = visualization.training_curves(RECORDS, metrics=("loss", "kl"))
    assert [axes.get_ylabel() for axes in figure.axes] == ["loss", "kl"]


def test_a_steep_start_does_not_flatten_the_rest():
    records = [{"step": i, "split": "train", "loss": 1e6 if i == 0 else 1.0 + i / 100} for i in range(100)]
    low, high = visualization.training_curves(records).axes[0].get_ylim()
    assert 0.9 < low < 1.02 and 1.9 < high < 3.0


def test_unknown_metric_and_empty_run_are_errors():
    with pytest.raises(ValueError, match="no metric elbo; there are: loss, kl"):
        visualization.training_curves(RECORDS, metrics=("elbo",))
    with pytest.raises(ValueError, match="no metrics to draw"):
        visualization.training_curves([])
