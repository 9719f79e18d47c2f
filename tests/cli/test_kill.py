"""A run killed with SIGKILL at random moments and resumed each time ends as the unbroken run does, bit for bit."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import artifex as ax
from artifex.generative_models.training import init_state, make_optimizer
from artifex.generative_models.training.checkpointing import CheckpointStore
from artifex.generative_models.zoo.folders import load_experiment

NUM_KILLS = 5
NUM_STEPS = 1500
PATIENCE = 300.0  # seconds: far more than any part of the test takes
SMALLER = ("--training.num-steps", str(NUM_STEPS), "--training.checkpoint-every", "100")


def start(run_dir, *flags):
    """The command line, training the digits preset in a process of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "artifex", "train", "vae_digits", "--run-dir", run_dir, *SMALLER, *flags],
        env={**os.environ, "XLA_FLAGS": ""},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def whole_records(run_dir):
    """Records of the metrics file, without a last line that is cut off."""
    path = run_dir / "metrics.jsonl"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def kill_at(step, process, run_dir, moment):
    """Kill it some time after it logged a step, at a moment that nothing announces."""
    limit = time.monotonic() + PATIENCE
    while max((record["step"] for record in whole_records(run_dir)), default=0) < step:
        assert process.poll() is None, "the run ended before it was to be killed"
        assert time.monotonic() < limit
        time.sleep(0.002)
    time.sleep(moment)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


def last_state(run_dir):
    """All arrays of the last checkpoint: parameters, optimizer, averages, step and key."""
    experiment = load_experiment(run_dir)
    model = ax.create_model(experiment.model, key=jax.random.key(5))
    like = init_state(model, make_optimizer(experiment.training), key=jax.random.key(6), use_ema=True)
    arrays, _, step = CheckpointStore(run_dir / "checkpoints").restore(eqx.filter(like, eqx.is_array))
    assert step == NUM_STEPS
    leaves = jax.tree.leaves(arrays)
    return [jax.random.key_data(a) if jnp.issubdtype(a.dtype, jax.dtypes.prng_key) else a for a in leaves]


@pytest.mark.slow
def test_five_kills(tmp_path):
    """Parameters, optimizer, averages, key and step; and the metrics, in which nothing is missing or double."""
    unbroken, killed = tmp_path / "unbroken", tmp_path / "killed"
    assert start(unbroken).wait() == 0

    random_moments = random.Random(0)
    steps = sorted(random_moments.randrange(NUM_STEPS * 9 // 10) for _ in range(NUM_KILLS))
    for number, step in enumerate(steps):
        process = start(killed, *(["--resume"] if number else []))
        kill_at(step, process, killed, moment=random_moments.uniform(0.0, 0.15))
    assert start(killed, "--resume").wait() == 0

    ours, theirs = (last_state(folder) for folder in (unbroken, killed))
    assert len(ours) == len(theirs) > 40
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(one, other)
    timeless = [
        [
            {name: value for name, value in record.items() if name != "time"}
            for record in whole_records(folder)
        ]
        for folder in (unbroken, killed)
    ]
    assert timeless[0] == timeless[1]
