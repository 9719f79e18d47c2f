"""`artifex generate` of a diffusion model by samplers named on the command line."""

import functools
import json

import numpy as np
import pytest

from artifex.generative_models.modalities.image import CLASSIFIER_TRAINING, train_image_classifier

TINY = """
kind: experiment
data: {kind: image, dataset: digits, representation: symmetric, conditional: true}
model:
  kind: flow_matching
  num_classes: 10
  condition_dropout: 0.2
  network: {kind: mlp, hidden_size: 8, num_layers: 1}
  num_sampling_steps: 3
training: {num_steps: 4, batch_size: 32, log_every: 2, mesh: {kind: mesh, data: 1}}
"""


@pytest.fixture(scope="module")
def diffusion_run(tmp_path_factory, call):
    """Run folder of a tiny diffusion model."""
    folder = tmp_path_factory.mktemp("runs")
    (folder / "tiny.yaml").write_text(TINY)
    result = call("train", folder / "tiny.yaml", "--run-dir", folder / "run")
    assert result.code == 0, result
    return folder / "run"


def test_samplers(call, diffusion_run, tmp_path):
    """The config's own words give what no words give; others give other examples."""
    made = []
    for name, words in enumerate(
        (
            [],
            ["--sampler", "euler", "--steps", 3],
            ["--sampler", "dpmpp_2m", "--steps", 4, "--spacing", "karras"],
            ["--sampler", "{kind: ddim, eta: 0.5}"],
            ["--guidance", 9.0],
        )
    ):
        path = tmp_path / f"{name}.npz"
        result = call("generate", diffusion_run, "--n", 5, "--out", path, *words)
        assert result.code == 0, result
        made.append(np.load(path)["x"])
    np.testing.assert_array_equal(made[0], made[1])
    assert all((other != made[0]).any() for other in made[2:])


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--sampler", "dpmpp2m"], "--sampler: unknown sampler 'dpmpp2m'. Did you mean 'dpmpp_2m'"),
        (["--sampler", "{kind: ddim, eta: 2}"], "--sampler: eta: must be"),
        (["--steps", "0"], "--steps must be at least 1; got 0"),
        (["--mean", "--steps", "3"], "--mean and --steps exclude each other"),
    ],
)
def test_wrong_words(call, diffusion_run, tmp_path, words, text):
    """What is wrong with them."""
    result = call("generate", diffusion_run, "--out", tmp_path / "a.npz", *words)
    assert result.code == 2 and text in result.err, result
    assert not list(tmp_path.iterdir())


def test_a_model_without_samplers(call, trained, tmp_path):
    """A VAE is told so."""
    result = call("generate", trained[0], "--out", tmp_path / "a.npz", "--sampler", "ddim")
    assert result.code == 2 and "VAE has nothing that --sampler could set" in result.err


def test_evaluation_of_samples(call, diffusion_run, monkeypatch):
    """Samples are judged beside the metrics; a hardly trained model's are far from digits."""
    short = functools.partial(train_image_classifier, training=CLASSIFIER_TRAINING.replace(num_steps=40))
    monkeypatch.setattr("artifex.cli.measuring.train_image_classifier", short)
    words = ["--json", "--metrics", "reconstruction_mse", "--max-examples", 20]
    result = call(
        "evaluate", diffusion_run, *words, "--num-samples", 200, "--sampler", "dpmpp_2m", "--steps", 2
    )
    assert result.code == 0, result
    found = json.loads(result.out)
    assert found["frechet_distance"]["value"] > 0.5
    assert found["class_agreement"]["value"] < 0.5 and found["class_agreement"]["num_examples"] == 200
    result = call("evaluate", diffusion_run, "--steps", 3)
    assert result.code == 2 and "give --num-samples too" in result.err
