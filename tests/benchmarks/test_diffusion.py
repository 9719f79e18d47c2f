"""The comparison of diffusion models: its problem, and Artifex's side of it on weights of `diffusers`."""

import shutil
import types
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from benchmarks.diffusion.problem import PROBLEMS, TINY, load_problem, output_summary, save_problem
from benchmarks.diffusion_speed import IMPLEMENTATIONS, OURS, check

FIXTURE = Path(__file__).parents[1] / "fixtures" / "diffusers_unet_adm"


def test_problem_survives_the_disk(tmp_path):
    """Workers get the very arrays, in [-1, 1]."""
    save_problem(tmp_path, TINY)
    given = load_problem(tmp_path)
    assert given.problem == TINY and given.unet == tmp_path / "unet"
    assert given.data.shape == (16, 1, 8, 8) and np.abs(given.data).max() <= 1
    assert given.x.shape == (2, 1, 8, 8) and given.levels.max() < 1000


def test_sizes():
    """A block of training steps fits into the data, and levels halve the side."""
    for problem in PROBLEMS.values():
        assert problem.num_examples % problem.batch_size == 0
        assert problem.side % 2 ** (len(problem.channels) - 1) == 0
        assert all(width % 8 == 0 for width in problem.channels)


def test_our_network_gives_the_recorded_outputs(tmp_path):
    """What is compared before anything is timed: the fixture's outputs, by way of the worker's summary."""
    from safetensors.numpy import load_file

    from artifex.generative_models.models.backbones.denoisers.converters.diffusers import load_diffusers

    recorded = load_file(FIXTURE / "expected.safetensors")
    network = load_diffusers(shutil.copytree(FIXTURE, tmp_path / "unet")).network
    labels = jnp.eye(network.condition_size)[recorded["label"]]
    y = jax.jit(jax.vmap(network))(jnp.asarray(recorded["x"]), jnp.asarray(recorded["level"]), labels)
    np.testing.assert_allclose(
        output_summary(np.asarray(y)), output_summary(recorded["y"]), rtol=1e-4, atol=1e-4
    )


def test_check_refuses_other_outputs():
    """Another number in any place is found; what has its own weights is not compared."""
    fake = types.SimpleNamespace(name="fake", about={"outputs": [1.0, 2.0]})
    check(fake, [1.0, 2.0])
    with pytest.raises(ValueError, match="fake: other outputs"):
        check(fake, [1.0, 2.1])
    fake.about = {"outputs": None}
    check(fake, [1.0, 2.0])


def test_every_task_has_ours():
    """Ratios are to an implementation that can do the task."""
    for task, name in OURS.items():
        assert task in IMPLEMENTATIONS[name].tasks and not IMPLEMENTATIONS[name].is_peer
