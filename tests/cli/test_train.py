"""`artifex train`: what it writes, what it says, and what it refuses."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest
from PIL import Image

from artifex.cli import pictures
from artifex.generative_models.core.configuration import load_yaml
from artifex.generative_models.modalities import load_data
from artifex.generative_models.zoo import load_experiment, load_run

# A process of its own shares what the suite has compiled.
CACHE = {
    "JAX_COMPILATION_CACHE_DIR": str(Path(__file__).parents[2] / ".jax_cache"),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
CHANGED = ("--model.latent-size", 3)  # as the trained run has it


def parameters(run_dir):
    """All arrays of a run's model."""
    _, model = load_run(run_dir)
    return jax.tree.leaves(eqx.filter(model, eqx.is_array))


def files_of(folder):
    """Content of every file below a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


class TestRunFolder:
    def test_holds_everything(self, trained):
        run_dir, _ = trained
        names = {path.name for path in run_dir.iterdir()}
        wanted = {"config.yaml", "metrics.jsonl", "checkpoints", "evaluation.json"}
        assert wanted | {"samples.png", "reconstructions.png", "loss.png"} <= names
        assert any(name.startswith("events.out.tfevents") for name in names)
        assert not any(name.endswith(".tmp") for name in names)

    def test_config_is_the_file_with_the_flags(self, trained, tiny_yaml):
        run_dir, _ = trained
        experiment = load_experiment(run_dir)
        original = load_yaml(type(experiment), tiny_yaml)
        assert experiment == original.replace(model=original.model.replace(latent_size=3))

    def test_metrics_of_both_splits(self, trained):
        run_dir, _ = trained
        records = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines()]
        steps = {
            split: [r["step"] for r in records if r["split"] == split] for split in ("train", "validation")
        }
        assert steps == {"train": [4, 8, 12], "validation": [6, 12]}

    def test_samples_picture_shows_the_trained_model(self, trained):
        run_dir, _ = trained
        experiment, model = load_run(run_dir)
        key = jax.random.fold_in(jax.random.key(experiment.training.seed), 1 << 20)
        levels = np.asarray(
            load_data(experiment.data).representation.decode(model.generate_mean(64, key=key))
        )
        picture = np.asarray(Image.open(run_dir / "samples.png"))
        size = 8 * 8 + 2  # eight screen pixels for each pixel, and the gap
        corners = picture[: 8 * size : size, : 8 * size : size].reshape(-1)
        np.testing.assert_array_equal(corners, np.rint(levels[:, 0, 0, 0] / 16 * 255))
        middle = picture[35 : 8 * size : size, 35 : 8 * size : size].reshape(-1)
        np.testing.assert_array_equal(middle, np.rint(levels[:, 0, 4, 4] / 16 * 255))

    def test_summary_is_on_stdout_and_progress_on_stderr(self, trained):
        run_dir, result = trained
        for text in ("12 steps", "ELBO (nats)", "importance samples", "bits per dimension"):
            assert text in result.out
        assert f"artifex generate {run_dir}" in result.out and f"artifex evaluate {run_dir}" in result.out
        assert "12/12" in result.err and "loss=" in result.err and "12/12" not in result.out

    def test_evaluation_file_has_what_was_said(self, trained):
        run_dir, result = trained
        evaluation = json.loads((run_dir / "evaluation.json").read_text())
        assert set(evaluation) == {
            "elbo",
            "importance_weighted_bound_64",
            "bits_per_dimension",
            "reconstruction_mse",
        }
        assert f"{evaluation['elbo']['value']:.5g}" in result.out
        assert evaluation["elbo"]["value"] <= evaluation["importance_weighted_bound_64"]["value"]

    def test_what_was_reached_is_said_before_samples_fail(self, call, tiny_yaml, tmp_path, monkeypatch):
        def overflow(*args, **kwargs):
            raise FloatingPointError("examples must be finite")

        monkeypatch.setattr(pictures, "new_examples", overflow)
        result = call("train", tiny_yaml, "--run-dir", tmp_path / "run", *CHANGED, "--training.num-steps", 2)
        assert result.code == 1 and "examples must be finite" in result.err
        assert "ELBO (nats)" in result.out and "Pictures" not in result.out

    @pytest.mark.filterwarnings("default:no picture of samples")
    def test_training_goes_on_when_samples_overflow_on_the_way(self, call, tiny_yaml, tmp_path, monkeypatch):
        new_examples, calls = pictures.new_examples, []

        def overflow_at_first(*args, **kwargs):
            calls.append(None)
            if len(calls) == 1:
                raise FloatingPointError("examples must be finite")
            return new_examples(*args, **kwargs)

        monkeypatch.setattr(pictures, "new_examples", overflow_at_first)
        changed = (*CHANGED, "--training.num-steps", 5)
        result = call("train", tiny_yaml, "--run-dir", tmp_path / "run", *changed)
        assert result.code == 0 and "Pictures" in result.out and len(calls) == 2
        assert "warning: no picture of samples at step 4: examples must be finite" in result.err


class TestNames:
    def test_without_run_dir_a_new_folder_each_time(self, call, tiny_yaml, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        short = (*CHANGED, "--training.num-steps", 2)
        assert call("train", tiny_yaml, *short).code == 0
        assert call("train", tiny_yaml, *short).code == 0
        assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["tiny", "tiny-2"]
        again = call("train", tiny_yaml, *short, "--resume")
        assert again.code == 0 and "going on with runs/tiny-2" in again.err

    def test_help_shows_the_flags_of_the_experiment(self, call, tiny_yaml):
        result = call("train", tiny_yaml, "--help")
        assert result.code == 0
        assert "--model.likelihood.num-levels INT" in result.out and "(default: 17)" in result.out

    def test_a_part_that_is_trained_first_has_flags_of_its_own(self, call):
        result = call("train", "latent_diffusion_fashion", "--help")
        assert result.code == 0
        for flag in (
            "--pretraining.num-steps",
            "--training.num-steps",
            "--model.autoencoder.latent-channels",
        ):
            assert f"{flag} INT" in result.out
        assert "--pretraining" not in call("train", "vae_digits", "--help").out

    def test_help_without_a_name_explains(self, call):
        result = call("train", "--help")
        assert result.code == 0
        assert "NAME_OR_YAML" in result.out and "--training.num-steps INT" in result.out
        assert "optimizer steps in all" in result.out


class TestExistingRun:
    def test_is_never_overwritten_unasked(self, call, tiny_yaml, trained):
        run_dir, _ = trained
        before = files_of(run_dir)
        for target in (tiny_yaml, run_dir):
            result = call("train", target, "--run-dir", run_dir)
            assert result.code == 2 and not result.out
            assert all(flag in result.err for flag in ("--resume", "--overwrite", "--run-dir"))
        assert files_of(run_dir) == before

    def test_of_another_config_is_not_resumed(self, call, tiny_yaml, trained):
        run_dir, _ = trained
        before = files_of(run_dir)
        result = call("train", tiny_yaml, "--run-dir", run_dir, "--resume")
        assert result.code == 2 and "`model.latent_size` is 3 there and 2 here" in result.err
        assert files_of(run_dir) == before

    def test_overwrite_begins_anew(self, call, tiny_yaml, trained, tmp_path):
        run_dir = shutil.copytree(trained[0], tmp_path / "run")
        (run_dir / "notes.txt").write_text("mine")
        result = call("train", run_dir, "--overwrite", "--training.num-steps", 4)
        assert result.code == 0, result
        assert [path.name for path in (run_dir / "checkpoints").iterdir()] == ["4"]
        assert (run_dir / "notes.txt").read_text() == "mine"

    def test_folder_of_something_else_is_left_alone(self, call, tiny_yaml, tmp_path):
        (tmp_path / "thesis.tex").write_text("x")
        result = call("train", tiny_yaml, "--run-dir", tmp_path, "--overwrite")
        assert result.code == 2 and "holds no run" in result.err
        assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


class TestInterruption:
    @pytest.mark.parametrize("received", [signal.SIGINT, signal.SIGTERM])
    def test_saves_says_how_to_go_on_and_ends_the_same(
        self, call, tiny_yaml, trained, tmp_path, monkeypatch, received
    ):
        run_dir = tmp_path / "run"
        with monkeypatch.context() as patch:
            patch.setattr(
                pictures.SamplePictures, "__call__", lambda self, run, event: _send(received, event)
            )
            stopped = call("train", tiny_yaml, "--run-dir", run_dir, *CHANGED)
        assert stopped.code == 128 + received
        assert f"{received.name} after step 4 of 12" in stopped.err
        assert f"artifex train {run_dir} --resume" in stopped.err
        assert not stopped.out and "Traceback" not in stopped.err
        resumed = call("train", run_dir, "--resume")
        assert resumed.code == 0, resumed
        for ours, unbroken in zip(parameters(run_dir), parameters(trained[0]), strict=True):
            np.testing.assert_array_equal(ours, unbroken)

    def test_ctrl_c_in_a_process_of_its_own(self, call, tiny_yaml, tmp_path):
        run_dir = tmp_path / "run"
        words = ["train", tiny_yaml, "--run-dir", run_dir, *CHANGED, "--training.num-steps", 10_000_000]
        with subprocess.Popen(
            [sys.executable, "-m", "artifex", *map(str, words)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, **CACHE},
            text=True,
        ) as process:
            try:
                while process.poll() is None and not list(run_dir.glob("checkpoints/[1-9]*")):
                    time.sleep(0.1)
                process.send_signal(signal.SIGINT)
                out, err = process.communicate(timeout=60)
            finally:
                process.kill()
        assert process.returncode == 130, err
        step = int(re.search(r"SIGINT after step (\d+) of 10000000; the state is saved", err)[1])
        assert (run_dir / "checkpoints" / str(step)).is_dir()
        assert not out and "Traceback" not in err

    @pytest.mark.filterwarnings("default")
    def test_truncated_newest_checkpoint_is_passed_over(self, call, trained, tmp_path):
        run_dir = shutil.copytree(trained[0], tmp_path / "run")
        largest = max((run_dir / "checkpoints" / "12").rglob("*"), key=lambda path: path.stat().st_size)
        largest.write_bytes(largest.read_bytes()[:10])
        resumed = call("train", run_dir, "--resume")
        assert resumed.code == 0, resumed
        assert (
            "warning: " in resumed.err
            and "damaged" in resumed.err
            and "step 8 is used instead" in resumed.err
        )
        for ours, unbroken in zip(parameters(run_dir), parameters(trained[0]), strict=True):
            np.testing.assert_array_equal(ours, unbroken)


def _send(number, event):
    if type(event).__name__ == "Reached" and event.step == 4:
        os.kill(os.getpid(), number)


class TestBadInput:
    """What is required, what was got, the fix; and nothing is written."""

    @pytest.fixture(autouse=True)
    def empty_folder(self, tmp_path, monkeypatch):
        folder = tmp_path / "working"
        folder.mkdir()
        monkeypatch.chdir(folder)
        yield
        assert not list(folder.iterdir())

    @pytest.mark.parametrize(
        ("words", "code", "text"),
        [
            ([], 2, "artifex train vae_digits"),
            (["--resume"], 2, "the first argument names"),
            (["vae_digit"], 2, "Did you mean 'vae_digits'?"),
            (["no.yaml"], 2, "no file no.yaml. To make one from a preset: artifex config show"),
            (["some/folder"], 2, "neither a run folder nor a YAML file"),
            (["TINY", "--model.latent-sise", "3"], 2, "--model.latent-size INT"),
            (["TINY", "--training.num-steps", "ten"], 2, "training.num-steps"),
            (["TINY", "--training.num-steps", "0"], 2, "must be greater than or equal to 1; got 0"),
            (["TINY", "--training.accumulate-steps", "3"], 2, "`accumulate_steps` must divide `batch_size`"),
            (["TINY", "--training.batch-size", "0"], 2, "must be greater than or equal to 1; got 0"),
            (["TINY", "--training.optimizer.learning-rate", "-1"], 2, "must be greater than 0; got -1.0"),
            (["TINY", "--model.event-shape", "1", "28", "28"], 1, "examples, (1, 8, 8); got (1, 28, 28)"),
            (["TINY", "--model.num-classes", "10"], 1, "set `data.conditional` to true"),
            (["TINY", "--data.conditional"], 1, "set `model.num_classes`"),
            (["TINY", "--data.conditional", "--model.num-classes", "9"], 1, "in [0, 9)"),
            (["TINY", "--model.likelihood.low", "0.5"], 1, "`x` must lie in [0.5, 1]"),
            (["TINY", "--run-dir", "FILE"], 2, "is a file. Choose another --run-dir"),
            (["TINY", "--run-dir", "FILE/run"], 2, "is a file. Choose another --run-dir"),
            (["TINY", "--training.batch-size", "5000"], 1, "got 5000"),
            (["TINY", "--training.mesh.fsdp", "3"], 1, "fsdp"),
            (["TINY", "--data.validation-fraction", "0"], 1, "no data are held out for validation"),
            (["TINY", "--resume", "--overwrite"], 2, "not both"),
        ],
    )
    def test_wrong_words(self, call, tiny_yaml, words, code, text):
        real = {"TINY": tiny_yaml, "FILE": tiny_yaml, "FILE/run": tiny_yaml / "run"}
        result = call("train", *(real.get(word, word) for word in words))
        assert result.code == code, result
        assert text in " ".join(result.err.replace("│", " ").split())
        assert not result.out and "Traceback (most recent" not in result.err

    @pytest.mark.parametrize(
        ("old", "new", "text"),
        [
            (
                "latent_size",
                "latent_sise",
                "model.latent_sise: no such field of VAEConfig. Did you mean 'latent_size'?",
            ),
            ("num_steps: 12", "num_steps: many", "training.num_steps: must be a valid integer; got 'many'"),
            ("kind: vae", "kind: vea", "Did you mean 'vae'?"),
            ("data: {", "data: [", "not valid YAML"),
            (
                "batch_size: 32",
                "batch_size: -3",
                "training.batch_size: must be greater than or equal to 1; got -3",
            ),
            (None, "- 1\n- 2", "must be a mapping of field names to values; got a list"),
            (None, "", "must be a mapping of field names to values; got nothing"),
            (None, "\0", "not valid YAML"),
        ],
    )
    def test_wrong_files(self, call, tiny_yaml, tmp_path, old, new, text):
        path = tmp_path / "wrong.yaml"
        path.write_text(new if old is None else tiny_yaml.read_text().replace(old, new))
        result = call("train", path)
        assert result.code == 1 and text in result.err and str(path) in result.err, result

    def test_a_file_that_is_no_text(self, call, tmp_path):
        path = tmp_path / "picture.yaml"
        path.write_bytes(b"\x89PNG\r\n")
        result = call("train", path)
        assert result.code == 1 and "not a text file in UTF-8" in result.err, result

    def with_data(self, tiny_yaml, tmp_path, dataset):
        path = tmp_path / "own_data.yaml"
        path.write_text(tiny_yaml.read_text().replace("dataset: digits", f"dataset: {dataset}"))
        return path

    def test_missing_data_file(self, call, tiny_yaml, tmp_path, monkeypatch):
        monkeypatch.setenv("ARTIFEX_DATA_DIR", str(tmp_path))
        result = call("train", self.with_data(tiny_yaml, tmp_path, "mnist"))
        assert result.code == 1 and "mnist.npz" in result.err and "ARTIFEX_DATA_DIR" in result.err, result

    @pytest.mark.parametrize("memory_limit", [2**28, 0])  # read before the run, and during it
    def test_corrupt_image_is_named(self, call, tiny_yaml, tmp_path, memory_limit):
        folder = tmp_path / "images"
        folder.mkdir()
        for i in range(40):
            Image.new("L", (8, 8), i).save(folder / f"{i}.png")
        (folder / "7.png").write_bytes((folder / "7.png").read_bytes()[:30])
        limit = f"memory_limit: {memory_limit}"
        dataset = f"{{kind: image_folder, folder: '{folder}', image_size: 8, channels: 1, {limit}}}"
        result = call("train", self.with_data(tiny_yaml, tmp_path, dataset))
        assert result.code == 1 and "7.png" in result.err, result

    def test_arrays_that_are_no_pictures(self, call, tiny_yaml, tmp_path):
        path = tmp_path / "a.npz"
        path_in_yaml = self.with_data(tiny_yaml, tmp_path, f"{{kind: npz, file: '{path}'}}")
        for images, text in (
            (np.full((40, 8, 8), np.nan), "must be finite; picture 0 is not"),
            (np.ones((40, 8, 8)), "must be integers from 0 to 255; got float64"),
            (np.zeros((0, 8, 8), np.uint8), "not empty; got (0, 8, 8)"),
            (np.zeros((1, 8, 8), np.uint8), "hold out none: `test_fraction` 0"),
        ):
            np.savez(path, images=images)
            result = call("train", path_in_yaml)
            assert result.code == 1 and text in result.err, result
        path.write_bytes(path.read_bytes()[:100])
        result = call("train", path_in_yaml)
        assert result.code == 1 and f"{path} cannot be read" in result.err and "cut short" in result.err, (
            result
        )

    def test_empty_data(self, call, tiny_yaml, tmp_path):
        (tmp_path / "images").mkdir()
        dataset = f"{{kind: image_folder, folder: '{tmp_path / 'images'}'}}"
        result = call("train", self.with_data(tiny_yaml, tmp_path, dataset))
        assert result.code == 1 and str(tmp_path / "images") in result.err, result


def test_conditional_model(call, tiny_yaml, tmp_path):
    """Labels reach training, evaluation, pictures and `generate`."""
    text = tiny_yaml.read_text().replace(
        "representation: unit_interval", "representation: unit_interval, conditional: true"
    )
    path = tmp_path / "conditional.yaml"
    path.write_text(text.replace("latent_size: 2", "latent_size: 2\n  num_classes: 10"))
    run_dir = tmp_path / "run"
    result = call("train", path, "--run-dir", run_dir, "--training.num-steps", 4)
    assert result.code == 0, result
    out = tmp_path / "new.npz"
    assert call("generate", run_dir, "--n", 3, "--condition", 7, "--out", out).code == 0
    assert dict(np.load(out))["condition"].tolist() == [7, 7, 7]
    assert call("generate", run_dir, "--n", 3, "--condition", 10, "--out", out).code == 2


def test_points_of_the_plane(call, tmp_path):
    """A run on toy data draws points and a density, and measures its distance from the known entropy."""
    yaml = tmp_path / "points.yaml"
    yaml.write_text(
        "kind: experiment\n"
        "data: {kind: toy, dataset: two_moons, num_examples: 200, validation_size: 0, test_size: 20}\n"
        "model: {kind: flow_matching, event_shape: [2], network: {kind: mlp, hidden_size: 8, num_layers: 1},\n"
        "        num_sampling_steps: 2}\n"
        "training: {num_steps: 4, batch_size: 32, log_every: 2, mesh: {kind: mesh, data: 1}}\n"
    )
    run_dir = tmp_path / "run"
    made = call("train", yaml, "--run-dir", run_dir)
    assert made.code == 0, made
    assert "nll gap" in made.out and "density.png" in made.out and "reconstructions.png" not in made.out
    for name in ("samples.png", "denoising.png", "density.png", "loss.png"):
        with Image.open(run_dir / name) as picture:
            assert picture.size[0] > 300, name
    assert json.loads((run_dir / "evaluation.json").read_text()).keys() >= {"nll_gap", "energy_distance"}
    assert call("generate", run_dir, "--n", 5, "--out", tmp_path / "new.png").code == 0
    assert call("generate", run_dir, "--n", 5, "--out", tmp_path / "new.npz").code == 0
    assert np.load(tmp_path / "new.npz")["x"].shape == (5, 2)


def test_rows_of_a_table(call, tmp_path):
    """A run on a CSV file draws pairs of columns and measures densities of standardized and of stored rows."""
    rows = np.random.default_rng(0).normal(size=(120, 3)) * [1.0, 10.0, 0.1]
    table = tmp_path / "rows.csv"
    table.write_text("\n".join(["a,b,c", *(",".join(map(repr, row)) for row in rows.tolist())]))
    yaml = tmp_path / "table.yaml"
    yaml.write_text(
        "kind: experiment\n"
        f"data: {{kind: tabular, dataset: {{kind: csv, file: {table}}}, test_fraction: 0.2}}\n"
        "model: {kind: nsf, event_shape: [3], num_layers: 2, hidden_size: 8}\n"
        "training: {num_steps: 4, batch_size: 32, log_every: 2, mesh: {kind: mesh, data: 1}}\n"
    )
    run_dir = tmp_path / "run"
    made = call("train", yaml, "--run-dir", run_dir)
    assert made.code == 0, made
    for name in ("samples.png", "pairs.png", "loss.png"):
        with Image.open(run_dir / name) as picture:
            assert picture.size[0] > 300, name
    found = json.loads((run_dir / "evaluation.json").read_text())
    assert found.keys() >= {"log_prob", "log_prob_stored", "energy_distance", "correlation_error"}
    assert call("generate", run_dir, "--n", 50, "--out", tmp_path / "new.npz").code == 0
    new = np.load(tmp_path / "new.npz")["x"]
    np.testing.assert_array_less(np.abs(np.log(new.std(axis=0) / rows.std(axis=0))), 0.7)
