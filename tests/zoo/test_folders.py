"""Run folders are written by one run only, unless asked."""

import json

import pytest

from artifex.generative_models.core.configuration import (
    Experiment,
    ImageDataConfig,
    ModelConfig,
    TrainingConfig,
    config,
)
from artifex.generative_models.zoo import AnotherConfigError, RunExistsError, load_experiment
from artifex.generative_models.zoo.folders import (
    abandon_run_dir,
    begin_run_dir,
    check_run_dir,
    write_evaluation,
)


@config("folder_test_model")
class FolderModelConfig(ModelConfig):
    """A model that nobody builds."""


EXPERIMENT = Experiment(data=ImageDataConfig(), model=FolderModelConfig())


@pytest.fixture
def run_dir(tmp_path):
    """A folder with a run and a file of the user's."""
    folder = tmp_path / "run"
    begin_run_dir(folder, EXPERIMENT)
    (folder / "checkpoints" / "5").mkdir(parents=True)
    for name in ("metrics.jsonl", "events.out.tfevents.1.host", "samples.png", "notes.txt"):
        (folder / name).write_text("x")
    return folder


def test_config_round_trip(run_dir):
    assert load_experiment(run_dir) == EXPERIMENT


def test_new_and_empty_folders_are_free(tmp_path):
    check_run_dir(tmp_path / "new", EXPERIMENT)
    check_run_dir(tmp_path, EXPERIMENT)
    assert not list(tmp_path.iterdir())


def test_a_run_is_not_overwritten_unasked(run_dir):
    with pytest.raises(RunExistsError, match="holds a run already") as caught:
        check_run_dir(run_dir, EXPERIMENT)
    assert caught.value.is_run
    check_run_dir(run_dir, EXPERIMENT, resume=True)
    check_run_dir(run_dir, EXPERIMENT, overwrite=True)
    with pytest.raises(ValueError, match="not both"):
        check_run_dir(run_dir, EXPERIMENT, resume=True, overwrite=True)


def test_resume_of_another_config_names_the_difference(run_dir):
    changed = EXPERIMENT.replace(training=TrainingConfig(num_steps=7))
    with pytest.raises(AnotherConfigError, match=r"`training.num_steps` is 2000 there and 7 here"):
        check_run_dir(run_dir, changed, resume=True)


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"overwrite": True}])
def test_other_peoples_files_are_never_touched(tmp_path, options):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(RunExistsError, match="holds no run") as caught:
        check_run_dir(tmp_path, EXPERIMENT, **options)
    assert not caught.value.is_run
    with pytest.raises(NotADirectoryError, match="is a file"):
        check_run_dir(tmp_path / "thesis.tex", EXPERIMENT, **options)


def test_overwrite_removes_the_run_and_nothing_else(run_dir):
    changed = EXPERIMENT.replace(description="new")
    begin_run_dir(run_dir, changed, overwrite=True)
    assert sorted(path.name for path in run_dir.iterdir()) == ["config.yaml", "notes.txt"]
    assert load_experiment(run_dir) == changed


def test_a_run_without_results_is_abandoned(tmp_path):
    """One that has results is not, and what is not the run's stays."""
    run_dir = tmp_path / "run"
    begin_run_dir(run_dir, EXPERIMENT)
    (run_dir / "metrics.jsonl").touch()
    abandon_run_dir(run_dir)
    assert not list(tmp_path.iterdir())
    begin_run_dir(run_dir, EXPERIMENT)
    (run_dir / "notes.txt").touch()
    abandon_run_dir(run_dir)
    assert [path.name for path in run_dir.iterdir()] == ["notes.txt"]
    for name in ("checkpoints", "metrics.jsonl"):
        kept = tmp_path / name
        begin_run_dir(kept, EXPERIMENT)
        (kept / name / "4").mkdir(parents=True) if name == "checkpoints" else (kept / name).write_text("{}")
        abandon_run_dir(kept)
        assert len(list(kept.iterdir())) == 2


def test_missing_run(tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_experiment(tmp_path / "no")
    with pytest.raises(FileNotFoundError, match="holds no run"):
        load_experiment(tmp_path)


def test_evaluation_is_json(run_dir):
    evaluation = {"elbo": {"value": -3.5, "standard_error": None, "num_examples": 4}}
    write_evaluation(run_dir, evaluation)
    assert json.loads((run_dir / "evaluation.json").read_text()) == evaluation
    with pytest.raises(ValueError, match="JSON"):
        write_evaluation(run_dir, {"elbo": float("nan")})
    assert json.loads((run_dir / "evaluation.json").read_text()) == evaluation
