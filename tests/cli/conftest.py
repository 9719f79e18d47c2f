"""A tiny experiment and the command line called in this process."""

import contextlib
import io

import pytest

from artifex.cli import main

# Smaller than any preset, on one of the simulated devices.
TINY = """
kind: experiment
data: {kind: image, dataset: digits, representation: unit_interval}
model:
  kind: vae
  latent_size: 2
  encoder: {kind: mlp, hidden_sizes: [16]}
  decoder: {kind: mlp, hidden_sizes: [16]}
  likelihood: {kind: discretized_logistic, num_levels: 17}
training:
  num_steps: 12
  batch_size: 32
  log_every: 4
  validate_every: 6
  checkpoint_every: 4
  sample_every: 4
  mesh: {kind: mesh, data: 1}
"""


class Call:
    """What one call of the command line gave."""

    def __init__(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            self.code = main([str(word) for word in words])
        self.out, self.err = out.getvalue(), err.getvalue()

    def __repr__(self):
        return f"exit code {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"


@pytest.fixture(scope="session")
def call():
    """Function that runs the command line: `call("train", "vae_digits")`."""
    return Call


@pytest.fixture(scope="session")
def tiny_yaml(tmp_path_factory):
    """File of the tiny experiment."""
    path = tmp_path_factory.mktemp("experiment") / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.fixture(scope="session")
def trained(tmp_path_factory, call, tiny_yaml):
    """Run folder of the tiny experiment, and the call that made it. Tests leave it as it is."""
    run_dir = tmp_path_factory.mktemp("runs") / "tiny"
    result = call("train", tiny_yaml, "--run-dir", run_dir, "--model.latent-size", 3)
    assert result.code == 0, result
    return run_dir, result
