"""A VAE's training step, epoch by epoch: Artifex beside hand-written JAX, avitai-artifex and PyTorch.

    python -m benchmarks.vae_step --peers-python PATH [--sizes mnist|digits] [--rounds 20]

Every implementation starts from the same weights and must give the same loss on them, or nothing is timed.
"""

import argparse
import dataclasses
import functools
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.comparison import compare, report
from benchmarks.harness import Worker, WorkerError, write_result
from benchmarks.vae.problem import (
    PROBLEMS,
    Given,
    Problem,
    load_problem,
    narrow,
    reference_losses,
    save_problem,
    softplus_scale,
)

OURS = "artifex fit"
TOLERANCE = 1e-4
SCALES = {"softplus": softplus_scale, "exp": lambda raw: np.exp(0.5 * raw)}


@dataclasses.dataclass(frozen=True)
class Implementation:
    """A worker: its module below `benchmarks.vae`, and further arguments.

    Attributes:
        is_peer: whether it runs in the environment of the peers.
    """

    module: str
    arguments: tuple[str, ...] = ()
    is_peer: bool = False


IMPLEMENTATIONS = {
    OURS: Implementation("artifex_loop", ("fit",)),
    "artifex train step": Implementation("artifex_loop", ("step",)),
    "jax.jit loop": Implementation("jax_loop", ("jit",)),
    "jax scan epoch": Implementation("jax_loop", ("scan",)),
    "avitai staged epoch": Implementation("avitai", is_peer=True),
    "torch eager": Implementation("pytorch", ("eager",), is_peer=True),
    "torch compile": Implementation("pytorch", ("compile",), is_peer=True),
}


def check(worker: Worker, given: Given) -> None:
    """Compare an implementation's losses with float64 NumPy.

    Raises:
        ValueError: it does other maths.
    """
    problem, batch = given.problem, given.batch
    to_scale = SCALES[worker.about.get("scale", "softplus")]
    wanted = {
        "narrow_loss": reference_losses(narrow(given.weights), batch, problem)["loss"],
        "kl": reference_losses(given.weights, batch, problem, to_scale)["kl"],
    }
    for name, value in wanted.items():
        got = worker.about[name]
        if not abs(got - value) <= TOLERANCE * abs(value):
            raise ValueError(
                f"{worker.name}: `{name}` must be {value:.6f}; got {got:.6f}: not the same maths"
            )


def start(name: str, folder: Path, peers_python: str | None) -> Worker:
    """Start the worker of an implementation."""
    implementation = IMPLEMENTATIONS[name]
    python = peers_python if implementation.is_peer else sys.executable
    if python is None:
        raise WorkerError("no peers' environment: make one with benchmarks.peers, give --peers-python")
    module = f"benchmarks.vae.{implementation.module}"
    return Worker(name, [python, "-m", module, str(folder), *implementation.arguments])


def measure(
    problem: Problem, names: Sequence[str], peers_python: str | None, *, rounds: int, warmup: int
) -> dict[str, Any]:
    """Check and time implementations; what does not start is named in the result with the reason."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_problem(folder, problem)
        given = load_problem(folder)
        result = compare(
            {name: functools.partial(start, name, folder, peers_python) for name in names},
            ours=OURS,
            check=lambda worker: check(worker, given),
            units_per_block=problem.steps_per_block,
            rounds=rounds,
            warmup=warmup,
        )
    return {
        "problem": {**dataclasses.asdict(problem), "steps_per_block": problem.steps_per_block},
        **result,
    }


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.vae_step", description=__doc__.split("\n")[0])
    parser.add_argument("--peers-python", help="Python of the environment that benchmarks.peers makes")
    parser.add_argument("--sizes", choices=sorted(PROBLEMS), action="append", help="default: all")
    parser.add_argument("--only", action="append", choices=list(IMPLEMENTATIONS), help="besides artifex fit")
    parser.add_argument("--rounds", type=int, default=20, help="measured blocks of each")
    parser.add_argument("--warmup", type=int, default=3, help="blocks of each that are dropped")
    parser.add_argument("--dry-run", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    names = [name for name in IMPLEMENTATIONS if not options.only or name in (OURS, *options.only)]
    for sizes in options.sizes or sorted(PROBLEMS):
        result = measure(
            PROBLEMS[sizes], names, options.peers_python, rounds=options.rounds, warmup=options.warmup
        )
        print(f"{sizes}:\n{report(result, ours=OURS, unit='step')}\n", flush=True)
        if not options.dry_run:
            command = f"python -m benchmarks.vae_step --peers-python PYTHON --sizes {sizes}"
            command += f" --rounds {options.rounds} --warmup {options.warmup}"
            write_result(f"vae_step_{sizes}", {"benchmark": "vae_step", "command": command, **result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
