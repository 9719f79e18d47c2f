"""The speed comparisons' harness: what it measures, and that all sides of a comparison do the same maths."""

import json
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest
from benchmarks.comparison import report
from benchmarks.harness import ROOT, Spread, Worker, WorkerError, interleave, machine, ratios, write_result
from benchmarks.vae import jax_loop
from benchmarks.vae.problem import (
    Problem,
    initial_weights,
    layer_sizes,
    load_problem,
    narrow,
    reference_losses,
    save_problem,
)
from benchmarks.vae_step import check, measure

TINY = Problem(event_size=6, hidden_sizes=(5, 4), latent_size=2, batch_size=4, num_examples=12)

SLEEPER = """
import sys, time
from benchmarks.worker import serve

def train(blocks):
    count = 0
    for _ in blocks:
        print("what a library prints must not reach the harness")
        time.sleep(float(sys.argv[1]))
        count += 1
    return {"count": count}

serve(lambda: {"name": "sleeper"}, train)
"""


@pytest.fixture
def plain_jax():
    """A script's rules of rank promotion, under which the hand-written loop is read most easily."""
    with jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture
def sleeper(tmp_path):
    """Starts a worker whose blocks take so many seconds."""
    script = tmp_path / "sleeper.py"
    script.write_text(textwrap.dedent(SLEEPER))
    workers = []

    def start(name, seconds):
        code = f"import sys; sys.argv = ['', '{seconds}']; exec(open({str(script)!r}).read())"
        workers.append(Worker(name, [sys.executable, "-c", code]))
        return workers[-1]

    yield start
    for worker in workers:
        worker.kill()


def test_workers_are_timed_in_turn(sleeper):
    """Every block is counted, warm-up is dropped, and the ratio of sleeping times is found."""
    slow, fast = sleeper("slow", 0.06), sleeper("fast", 0.02)
    assert slow.about == {"name": "sleeper"}
    blocks = interleave([slow, fast], rounds=4, warmup=1)
    assert [len(ran) for ran in blocks.values()] == [4, 4]
    seconds = {name: [block.seconds for block in ran] for name, ran in blocks.items()}
    assert min(seconds["slow"]) >= 0.06
    assert max(block.cpu_seconds for block in blocks["slow"]) < 0.06  # sleeping is not computing
    assert 1.5 < ratios(seconds, of="slow")["fast"].median < 4.5
    assert slow.close() == {"count": 5}
    assert fast.close() == {"count": 5}


def test_ratios_are_taken_within_rounds():
    """A machine that becomes twice as slow half-way changes no ratio."""
    ours, theirs = np.array([1.0, 1.1, 2.0, 2.2]), np.array([2.0, 2.2, 4.0, 4.4])
    spread = ratios({"ours": ours, "theirs": theirs}, of="ours")["theirs"]
    assert spread == Spread(0.5, (0.5, 0.5), (0.5, 0.5))


def test_spread_is_that_of_numpy():
    """Median, quartiles and extremes."""
    values = np.random.default_rng(0).normal(size=21)
    spread = Spread.of(values.tolist())
    expected = np.quantile(values, [0.0, 0.25, 0.5, 0.75, 1.0])
    found = [spread.extremes[0], spread.quartiles[0], spread.median, spread.quartiles[1], spread.extremes[1]]
    np.testing.assert_allclose(found, expected)


def test_a_worker_that_fails_says_why():
    """The message holds the process's own error."""
    with pytest.raises(WorkerError, match="no such thing"):
        Worker("broken", [sys.executable, "-c", "raise RuntimeError('no such thing')"])


def test_result_file_names_the_machine_but_not_its_place(tmp_path):
    """CPU and cores are there; no host name, user or path."""
    path = write_result("result", {"machine": machine()}, tmp_path)
    written = json.loads(path.read_text())
    assert set(written) == {"date", "machine"}
    assert written["machine"]["cores"] >= 1
    assert written["machine"]["vectors"] in {"avx512f", "avx2", "avx", None}
    assert "/" not in written["machine"]["cpu"].replace(" / ", "")
    assert list(tmp_path.iterdir()) == [path]


def test_problem_survives_the_disk(tmp_path):
    """Workers get the very arrays."""
    save_problem(tmp_path, TINY)
    given = load_problem(tmp_path)
    assert given.problem == TINY
    for name, value in initial_weights(TINY).items():
        np.testing.assert_array_equal(given.weights[name], value)
    assert given.data.shape == (12, 6)
    assert set(np.unique(given.data)) == {0.0, 1.0}


def test_layers_fit_together():
    """The decoder mirrors the encoder."""
    assert layer_sizes(TINY) == {
        "encoder0": (6, 5),
        "encoder1": (5, 4),
        "loc": (4, 2),
        "raw_scale": (4, 2),
        "decoder0": (2, 4),
        "decoder1": (4, 5),
        "logits": (5, 6),
    }


def test_check_refuses_other_maths(tmp_path):
    """A loss that is a mean over pixels instead of a sum is found."""
    save_problem(tmp_path, TINY)
    given = load_problem(tmp_path)
    right = {
        "narrow_loss": reference_losses(narrow(given.weights), given.batch, TINY)["loss"],
        "kl": reference_losses(given.weights, given.batch, TINY)["kl"],
    }

    class Fake:
        name = "fake"
        about = right

    check(Fake(), given)
    Fake.about = {**right, "narrow_loss": right["narrow_loss"] / 6}
    with pytest.raises(ValueError, match="fake: `narrow_loss` must be"):
        check(Fake(), given)


def test_hand_written_jax_gives_the_reference_loss(tmp_path, plain_jax):
    """Float32 JAX next to float64 NumPy."""
    save_problem(tmp_path, TINY)
    given = load_problem(tmp_path)
    about = jax_loop.describe(given)
    expected = reference_losses(narrow(given.weights), given.batch, TINY)["loss"]
    np.testing.assert_allclose(about["narrow_loss"], expected, rtol=1e-4)
    expected = reference_losses(given.weights, given.batch, TINY)["kl"]
    np.testing.assert_allclose(about["kl"], expected, rtol=1e-4)


def test_reference_gradient_moves_the_hand_written_loss(tmp_path, plain_jax):
    """One weight moved by hand changes the NumPy loss as the gradient of the JAX loss says."""
    save_problem(tmp_path, TINY)
    given = load_problem(tmp_path)
    loss = jax_loop.make_loss(TINY)
    gradient = jax.grad(lambda w: loss(w, given.batch, jax.random.key(0))[0])(narrow(given.weights))

    def loss_at(shift):
        weights = narrow(given.weights)
        moved = {**weights, "logits.bias": weights["logits.bias"].astype(np.float64) + shift}
        return reference_losses(moved, given.batch, TINY)["loss"]

    slope = (loss_at(1e-4) - loss_at(-1e-4)) / 2e-4
    np.testing.assert_allclose(slope, gradient["logits.bias"].sum(), rtol=1e-2)


def test_whole_comparison(monkeypatch):
    """Artifex next to hand-written JAX at a tiny size; peers that are not installed are named as left out."""
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(ROOT / ".jax_cache"))
    monkeypatch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    names = ["artifex fit", "jax.jit loop", "torch eager"]
    result = measure(TINY, names, None, rounds=2, warmup=1)
    assert set(result["implementations"]) == set(names[:2])
    assert "torch eager" in result["left_out"]
    assert set(result["ratios"]) == {"artifex fit / jax.jit loop"}
    assert result["implementations"]["artifex fit"]["num_traces"] == 1
    assert "torch eager" in report(result, ours="artifex fit", unit="step")
    json.dumps(result)


def test_command_line_lists_the_implementations():
    """`--help` works without any peer."""
    command = [sys.executable, "-m", "benchmarks.vae_step", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "jax.jit loop" in done.stdout
