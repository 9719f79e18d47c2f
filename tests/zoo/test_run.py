"""Whole experiments from Python: without a folder, and conditions to show a model with."""

import numpy as np
import pytest

from artifex.data import Dataset
from artifex.generative_models.core.configuration import (
    Experiment,
    ImageDataConfig,
    MeshConfig,
    MLPDecoderConfig,
    MLPEncoderConfig,
    TrainingConfig,
    VAEConfig,
)
from artifex.generative_models.core.schedules import make_schedule
from artifex.generative_models.zoo import example_conditions, get, load_run, names, run_experiment

EXPERIMENT = Experiment(
    data=ImageDataConfig(),
    model=VAEConfig(
        latent_size=2,
        encoder=MLPEncoderConfig(hidden_sizes=(16,)),
        decoder=MLPDecoderConfig(hidden_sizes=(16,)),
    ),
    training=TrainingConfig(num_steps=2, batch_size=32, log_every=2, ema_decay=0.5, mesh=MeshConfig(data=1)),
)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run_experiment(EXPERIMENT, progress=False)
    assert not list(tmp_path.iterdir())
    assert result.run_dir is None and result.fit.reason == "finished"
    assert result.evaluation is not None and result.evaluation["elbo"] < 0


def test_the_averaged_model_comes_back_from_the_folder(tmp_path):
    result = run_experiment(EXPERIMENT, tmp_path / "run", progress=False)
    experiment, model = load_run(tmp_path / "run")
    assert experiment == EXPERIMENT
    z = np.ones((1, 2), np.float32)
    np.testing.assert_array_equal(model.decode(z), result.model.decode(z))
    assert (np.asarray(model.decode(z)) != np.asarray(result.fit.state.model.decode(z))).any()


@pytest.mark.parametrize(
    ("training", "match"),
    [
        ({"batch_size": 4000}, "4000"),
        ({"mesh": {"kind": "mesh", "data": 999}}, "999"),
    ],
)
def test_what_cannot_be_trained_leaves_no_folder(tmp_path, training, match):
    wrong = EXPERIMENT.replace(training=EXPERIMENT.training.replace(**training))
    with pytest.raises(ValueError, match=match):
        run_experiment(wrong, tmp_path / "run", progress=False)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("num_steps", [1, 50])
def test_any_preset_can_be_cut_short(num_steps):
    """As `artifex train NAME --training.num-steps 50` does."""
    for name in names():
        training = get(name).training.replace(num_steps=num_steps)
        assert 0 < make_schedule(training.schedule, num_steps)(0) <= 1, name


def test_example_conditions():
    data = Dataset({"x": np.zeros((2, 1)), "condition": np.array([[1.0, 2.0], [3.0, 4.0]])})
    assert example_conditions(VAEConfig(), data, 3) is None
    assert example_conditions(VAEConfig(num_classes=2), data, 3).tolist() == [0, 1, 0]
    assert example_conditions(VAEConfig(condition_shape=(2,)), data, 3).tolist() == [[1, 2], [3, 4], [1, 2]]
    with pytest.raises(ValueError, match="give `data`"):
        example_conditions(VAEConfig(condition_shape=(2,)), None, 3)
