"""`artifex generate` and `artifex evaluate` on the folder of a tiny run."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image

from artifex.cli.generation import conditions
from artifex.cli.messages import UsageError
from artifex.generative_models.core.configuration import VAEConfig


def examples(call, run_dir, path, *words):
    """Arrays that `generate` writes."""
    result = call("generate", run_dir, "--out", path, *words)
    assert result.code == 0, result
    assert result.out == f"{path}\n"
    return dict(np.load(path))


class TestGenerate:
    def test_example_i_depends_on_the_seed_alone(self, call, trained, tmp_path):
        run_dir, _ = trained
        many = examples(call, run_dir, tmp_path / "a.npz", "--n", 7)["x"]
        assert many.shape == (7, 1, 8, 8) and many.dtype == np.uint8 and many.max() <= 16
        chunks = examples(call, run_dir, tmp_path / "b.npz", "--n", 7, "--chunk-size", 3)["x"]
        np.testing.assert_array_equal(chunks, many)
        other = examples(call, run_dir, tmp_path / "c.npz", "--n", 7, "--seed", 1)["x"]
        assert (other != many).any()

    def test_the_data_are_not_read(self, call, trained, tmp_path, monkeypatch):
        """A model can be used where its data are not."""

        def missing():
            raise FileNotFoundError

        monkeypatch.setattr("sklearn.datasets.load_digits", missing)
        assert examples(call, trained[0], tmp_path / "a.npz", "--n", 2)["x"].max() <= 16
        assert call("evaluate", trained[0]).code == 1

    def test_means_have_less_noise(self, call, trained, tmp_path):
        run_dir, _ = trained
        drawn = examples(call, run_dir, tmp_path / "a.npz", "--n", 20)["x"].astype(float)
        means = examples(call, run_dir, tmp_path / "b.npz", "--n", 20, "--mean")["x"].astype(float)
        assert means.std() < drawn.std()
        words = ["--n", 20, "--mean", "--chunk-size", 8]
        np.testing.assert_array_equal(examples(call, run_dir, tmp_path / "c.npz", *words)["x"], means)

    def test_picture(self, call, trained, tmp_path):
        run_dir, _ = trained
        path = tmp_path / "deep" / "new.png"
        assert call("generate", run_dir, "--out", path, "--n", 6).code == 0
        with Image.open(path) as picture:
            assert picture.size == (3 * 66 - 2, 2 * 66 - 2)
        assert [item.name for item in path.parent.iterdir()] == ["new.png"]

    @pytest.mark.parametrize(
        ("words", "code", "text"),
        [
            (["--out", "a.jpg"], 2, "must end in .png or .npz; got a.jpg"),
            (["--out", "a.png", "--n", "0"], 2, "at least 1"),
            (["--out", "a.png", "--condition", "3"], 2, "unconditional"),
            (["--out", "a.png", "--chunk-size", "0"], 2, "--chunk-size must be at least 1; got 0"),
            (["--out", "."], 2, "must end in .png or .npz"),
            (["--out", "RUN/config.yaml/a.png"], 2, "config.yaml is a file. Choose another --out"),
            (["--out", "a.png", "--step", "5"], 1, "no checkpoint of step 5"),
            ([], 2, "--out"),
        ],
    )
    def test_wrong_words(self, call, trained, tmp_path, monkeypatch, words, code, text):
        monkeypatch.chdir(tmp_path)
        result = call("generate", trained[0], *(word.replace("RUN", str(trained[0])) for word in words))
        assert result.code == code and text in result.err, result
        assert not list(tmp_path.iterdir())

    def test_no_run(self, call, tmp_path):
        result = call("generate", tmp_path / "no", "--out", tmp_path / "a.png")
        assert result.code == 1 and "does not exist" in result.err

    def test_run_without_checkpoint(self, call, trained, tmp_path):
        run_dir = shutil.copytree(trained[0], tmp_path / "run")
        shutil.rmtree(run_dir / "checkpoints")
        result = call("generate", run_dir, "--out", tmp_path / "a.png")
        assert result.code == 1 and "no checkpoint" in result.err


class TestConditions:
    """From words to conditions."""

    labels = VAEConfig(num_classes=4)
    arrays = VAEConfig(condition_shape=(2,))

    def test_labels_are_used_in_turn(self):
        assert conditions(self.labels, (), 6).tolist() == [0, 1, 2, 3, 0, 1]
        assert conditions(self.labels, ("2",), 3).tolist() == [2, 2, 2]
        assert conditions(self.labels, ("3", "1"), 3).tolist() == [3, 1, 3]
        assert conditions(VAEConfig(), (), 3) is None

    def test_arrays_come_from_a_file(self, tmp_path):
        path = tmp_path / "c.npy"
        np.save(path, np.arange(6.0).reshape(3, 2))
        assert conditions(self.arrays, (str(path),), 3).tolist() == [[0, 1], [2, 3], [4, 5]]
        np.save(path, np.arange(2.0))
        assert conditions(self.arrays, (str(path),), 2).tolist() == [[0, 1], [0, 1]]
        with pytest.raises(UsageError, match=r"shape \(3, 2\) or \(2,\); got \(5,\)"):
            np.save(path, np.arange(5.0))
            conditions(self.arrays, (str(path),), 3)
        with pytest.raises(FileNotFoundError, match="no file of conditions"):
            conditions(self.arrays, ("no.npy",), 3)

    @pytest.mark.parametrize(
        ("config", "given", "match"),
        [
            (labels, ("4",), r"\[0, 4\)"),
            (labels, ("-1",), r"\[0, 4\)"),
            (labels, ("cat",), "class labels or one .npy file"),
            (arrays, ("1",), "FILE.npy"),
            (arrays, (), "FILE.npy"),
        ],
    )
    def test_wrong_conditions(self, config, given, match):
        with pytest.raises(UsageError, match=match):
            conditions(config, given, 3)


class TestEvaluate:
    def test_lines_for_people(self, call, trained):
        result = call("evaluate", trained[0])
        assert result.code == 0, result
        assert "ELBO (nats)" in result.out and "bound from 64 importance samples (nats)" in result.out
        assert "test data, 180 examples" in result.err

    def test_json_agrees_with_the_run(self, call, trained):
        run_dir, _ = trained
        result = call("evaluate", run_dir, "--json", "--num-importance-samples", 8, "--max-examples", 100)
        measured, before = json.loads(result.out), json.loads((run_dir / "evaluation.json").read_text())
        assert measured["importance_weighted_bound_8"]["num_examples"] == 100
        difference = measured["elbo"]["value"] - before["elbo"]["value"]
        assert abs(difference) < 4 * measured["elbo"]["standard_error"]

    def test_metrics_by_name(self, call, trained):
        result = call("evaluate", trained[0], "--json", "--metrics", "elbo", "reconstruction_mse")
        assert list(json.loads(result.out)) == ["elbo", "reconstruction_mse"]
        result = call("evaluate", trained[0], "--metrics", "elbow")
        assert result.code == 1 and "unknown metric 'elbow'. Did you mean 'elbo'?" in result.err, result

    def test_wrong_words(self, call, trained):
        assert call("evaluate", trained[0], "--split", "exam").code == 2
        result = call("evaluate", trained[0], "--max-examples", "0")
        assert result.code == 2 and "--max-examples must be at least 1; got 0" in result.err, result
        assert call("evaluate").code == 2
