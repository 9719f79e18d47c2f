"""Experiments of which a part of the model is trained first."""

import json
import os
import signal

import equinox as eqx
import jax
import numpy as np
import pytest
from tests.training.toy import Location, LocationConfig
from tests.zoo.two_stages import TwoStageConfig, TwoStages

from artifex.data import StreamedDataset, without_conditions
from artifex.generative_models.core.configuration import (
    ConfigError,
    Experiment,
    ImageDataConfig,
    MeshConfig,
    TrainingConfig,
    VAEConfig,
    from_yaml,
    to_yaml,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.training import InterruptedTrainingError, NonFiniteError, callbacks, fit
from artifex.generative_models.zoo import RunExistsError, load_run, run_experiment

TRAINING = TrainingConfig(
    num_steps=8, batch_size=32, log_every=4, checkpoint_every=4, validate_every=4, mesh=MeshConfig(data=1)
)
EXPERIMENT = Experiment(
    data=ImageDataConfig(conditional=True, representation="unit_interval"),
    model=TwoStageConfig(),
    training=TRAINING,
    pretraining=TRAINING.replace(num_steps=12),
)


def run(run_dir=None, experiment=EXPERIMENT, **options):
    return run_experiment(experiment, run_dir, progress=False, **options)


def arrays(model):
    return jax.tree.leaves(eqx.filter(model, eqx.is_array))


def assert_same(ours, theirs):
    for one, other in zip(arrays(ours), arrays(theirs), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The result of a run that nothing disturbed."""
    return run(tmp_path_factory.mktemp("runs") / "unbroken")


def interrupt(monkeypatch, run_dir, *, stage, step):
    """Let SIGINT come when a stage has saved a step, in this one run."""
    original = callbacks.Checkpointing.__call__

    def saved(self, run, event):
        original(self, run, event)
        if run.run_dir == run_dir / stage and run.step == step and type(event).__name__ == "Reached":
            os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch, pytest.raises(InterruptedTrainingError) as caught:
        patch.setattr(callbacks.Checkpointing, "__call__", saved)
        run(run_dir)
    return caught.value


def test_both_stages_and_what_they_leave(unbroken):
    """The part is trained on the data without their conditions, the whole sees it trained and never changes it."""
    model, data = unbroken.model, unbroken.data
    records = [
        json.loads(line)
        for line in (unbroken.run_dir / "pretraining" / "metrics.jsonl").read_text().splitlines()
    ]
    losses = [record["loss"] for record in records if record["split"] == "validation"]
    assert [r["step"] for r in records if r["split"] == "validation"] == [4, 8, 12]
    assert losses[2] < losses[1] < losses[0]
    assert model.has_pretrained
    key = jax.random.fold_in(jax.random.key(0), 1)
    part_key, fit_key, _ = jax.random.split(key, 3)
    alone = fit(
        Location(LocationConfig(event_shape=(1, 8, 8)), key=part_key),
        without_conditions(data.train),
        EXPERIMENT.pretraining,
        key=fit_key,
        progress=False,
    )
    np.testing.assert_array_equal(model.first.value, alone.model.location)
    # It was shown 1,024 training examples with their classes.
    mean = np.mean(np.asarray(data.train.batch(range(len(data.train)), key=key)["x"], np.float64))
    assert abs(float(model.measured.value) - 1024 - mean) < 0.02
    assert (np.asarray(model.offsets) != 0).any()


def test_the_run_comes_back_from_the_main_checkpoint(unbroken):
    experiment, model = load_run(unbroken.run_dir)
    assert experiment == EXPERIMENT and model.has_pretrained
    assert_same(model, unbroken.model)


@pytest.mark.parametrize(("stage", "step"), [("pretraining", 4), ("pretraining", 12), ("", 4)])
def test_interrupted_in_either_stage(tmp_path, unbroken, monkeypatch, stage, step):
    """What is resumed ends as the unbroken run does; a complete first stage is not done again."""
    run_dir = tmp_path / "run"
    error = interrupt(monkeypatch, run_dir, stage=stage, step=step)
    assert (error.step, error.num_steps) == (step, 12 if stage else 8)
    assert ("pretraining of the part 'toy_location'" in "".join(getattr(error, "__notes__", ()))) == bool(
        stage
    )
    metrics = run_dir / "pretraining" / "metrics.jsonl"
    before = metrics.read_text()
    with pytest.raises(RunExistsError):
        run(run_dir)
    resumed = run(run_dir, resume=True)
    assert_same(resumed.model, unbroken.model)
    assert metrics.read_text().startswith(before)
    if not stage:
        assert metrics.read_text() == before


def test_resuming_a_finished_run_changes_nothing(unbroken):
    files = {p: p.read_bytes() for p in unbroken.run_dir.rglob("metrics.jsonl")}
    again = run(unbroken.run_dir, resume=True)
    assert_same(again.model, unbroken.model)
    assert len(files) == 2 and all(p.read_bytes() == content for p, content in files.items())


def test_overwrite_removes_both_stages(tmp_path):
    run_dir = tmp_path / "run"
    run(run_dir)
    shorter = EXPERIMENT.replace(pretraining=TRAINING.replace(num_steps=4))
    run(run_dir, shorter, overwrite=True)
    assert [p.name for p in (run_dir / "pretraining" / "checkpoints").iterdir()] == ["4"]


def test_a_first_stage_that_fails_at_once_leaves_no_folder(tmp_path):
    training = TRAINING.replace(log_every=100, checkpoint_every=None, validate_every=None)
    diverging = training.replace(optimizer={"kind": "sgd", "learning_rate": 1e30})
    with pytest.raises(NonFiniteError) as caught:
        run(tmp_path / "run", EXPERIMENT.replace(pretraining=diverging))
    assert "pretraining of the part" in caught.value.__notes__[0]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"pretraining": TRAINING.replace(batch_size=4000)}, "4000"),
        ({"data": ImageDataConfig(conditional=True, validation_fraction=0.0)}, r"`training.validate_every`"),
        (
            {
                "data": ImageDataConfig(conditional=True, validation_fraction=0.0),
                "training": TRAINING.replace(validate_every=None),
            },
            r"`pretraining.validate_every`",
        ),
    ],
)
def test_what_cannot_be_trained_leaves_no_folder(tmp_path, changes, match):
    with pytest.raises(ValueError, match=match):
        run(tmp_path / "run", EXPERIMENT.replace(**changes))
    assert not list(tmp_path.iterdir())


def test_pretraining_is_given_exactly_where_there_is_a_part():
    with pytest.raises(
        ConfigError, match="must say how the part 'toy_location' of the model 'toy_two_stages'"
    ):
        Experiment(data=ImageDataConfig(), model=TwoStageConfig())
    with pytest.raises(ConfigError, match="must be null, as no part of the model 'vae' is trained first"):
        Experiment(data=ImageDataConfig(), model=VAEConfig(), pretraining=TrainingConfig())
    with pytest.raises(ConfigError, match=r"pretraining.sample_every"):
        EXPERIMENT.replace(pretraining=TrainingConfig(sample_every=3))
    assert from_yaml(Experiment, to_yaml(EXPERIMENT)) == EXPERIMENT


def test_an_untrained_part_is_refused(key):
    """`fit` names the two calls that are missing; another part than the config's is refused too."""
    model = create_model(TwoStageConfig(), key=key)
    x, labels = np.zeros((32, 1, 8, 8), np.float32), np.zeros(32, np.int32)
    with pytest.raises(ValueError, match=r"trained first: .*with_pretrained"):
        fit(model, {"x": x, "condition": labels}, TRAINING, key=key, progress=False)
    for wrong, error, match in (
        (None, TypeError, "must be a trained model 'toy_location'; got NoneType"),
        (TwoStages(TwoStageConfig(), key=key), ValueError, "must have the config `config.pretrained_part`"),
    ):
        with pytest.raises(error, match=match):
            model.with_pretrained(wrong, x, labels, key=key)


def test_streamed_examples_without_conditions():
    """Only the conditions go."""

    class Rows:
        def __len__(self):
            return 5

        def rows(self, indices):
            return {"x": np.ones((len(indices), 2), np.float32) * indices[:, None], "condition": indices}

    data = without_conditions(StreamedDataset(Rows()))
    batch = data.batch([1, 3], key=jax.random.key(0))
    assert list(batch) == ["x"] and batch["x"].tolist() == [[1, 1], [3, 3]]
    assert list(next(data.epoch(4, key=jax.random.key(0)))) == ["x"]
