"""A DDPM's training step, and 50 steps of DDIM: Artifex beside `diffusers` on PyTorch and avitai-artifex.

    python -m benchmarks.diffusion_speed --peers-python PATH [--sizes mnist|digits] [--task train|sample]

Artifex and PyTorch start from the same weights and must give the same outputs, or nothing is timed. In sampling Artifex
stands beside its own network too, evaluated as often in one compiled loop.

The name of a result ends with the CPU's vector instructions, on which the ratios depend: of AVX-512 PyTorch's
convolutions gain more than those of XLA.
"""

import argparse
import dataclasses
import functools
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.comparison import compare, report
from benchmarks.diffusion.problem import PROBLEMS, Problem, load_problem, save_problem
from benchmarks.harness import ROOT, Worker, WorkerError, write_result

TOLERANCE = 1e-4
OURS = {"train": "artifex fit", "sample": "artifex sample"}
TASKS = tuple(OURS)


@dataclasses.dataclass(frozen=True)
class Implementation:
    """A worker: its module below `benchmarks.diffusion`, and further arguments.

    Attributes:
        tasks: what it can do.
        is_peer: whether it runs in the environment of the peers.
    """

    module: str
    arguments: tuple[str, ...] = ()
    tasks: tuple[str, ...] = TASKS
    is_peer: bool = True


IMPLEMENTATIONS = {
    OURS["train"]: Implementation("artifex_loop", ("train",), ("train",), is_peer=False),
    OURS["sample"]: Implementation("artifex_loop", ("sample",), ("sample",), is_peer=False),
    "network alone": Implementation("artifex_loop", ("network",), ("sample",), is_peer=False),
    "torch eager": Implementation("torch_unet", ("{task}", "eager")),
    "torch compile": Implementation("torch_unet", ("{task}", "compile")),
    "avitai": Implementation("avitai", ("{task}",)),
}


def start(name: str, task: str, folder: Path, peers_python: str | None) -> Worker:
    """Start the worker of an implementation."""
    implementation = IMPLEMENTATIONS[name]
    python = peers_python if implementation.is_peer else sys.executable
    if python is None:
        raise WorkerError("no peers' environment: make one with benchmarks.peers, give --peers-python")
    words = [word.format(task=task) for word in implementation.arguments]
    return Worker(name, [python, "-m", f"benchmarks.diffusion.{implementation.module}", str(folder), *words])


def check(worker: Worker, wanted: list[float]) -> None:
    """Compare a network's outputs with those of PyTorch.

    Raises:
        ValueError: it does other maths.
    """
    got = worker.about["outputs"]
    if got is not None and not np.allclose(got, wanted, rtol=TOLERANCE, atol=TOLERANCE):
        raise ValueError(f"{worker.name}: other outputs from the same weights: {got} in place of {wanted}")


def measure(
    problem: Problem, task: str, names: list[str], peers_python: str, *, rounds: int, warmup: int
) -> dict[str, Any]:
    """Check and time implementations of a task."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        save_problem(folder, problem)
        make_weights = [peers_python, "-m", "benchmarks.diffusion.torch_unet", str(folder), "weights"]
        subprocess.run(make_weights, cwd=ROOT, check=True)
        reference = start("torch eager", task, folder, peers_python)
        wanted = reference.about["outputs"]
        reference.kill()
        result = compare(
            {name: functools.partial(start, name, task, folder, peers_python) for name in names},
            ours=OURS[task],
            check=lambda worker: check(worker, wanted),
            units_per_block=problem.steps_per_block if task == "train" else 1,
            rounds=rounds,
            warmup=warmup,
        )
        sizes = dataclasses.asdict(load_problem(folder).problem)
    return {"problem": sizes, "milliseconds_per": {"train": "step", "sample": "call"}[task], **result}


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.diffusion_speed", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--peers-python", required=True, help="Python of the environment that benchmarks.peers makes"
    )
    parser.add_argument("--sizes", choices=sorted(PROBLEMS), action="append", help="default: all")
    parser.add_argument("--task", choices=TASKS, action="append", help="default: all")
    parser.add_argument("--only", action="append", choices=list(IMPLEMENTATIONS), help="besides ours")
    parser.add_argument("--rounds", type=int, default=8, help="measured blocks of each")
    parser.add_argument("--warmup", type=int, default=1, help="blocks of each that are dropped")
    parser.add_argument("--dry-run", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    for sizes in options.sizes or sorted(PROBLEMS):
        for task in options.task or TASKS:
            names = [
                name
                for name, implementation in IMPLEMENTATIONS.items()
                if task in implementation.tasks and (not options.only or name in (OURS[task], *options.only))
            ]
            result = measure(
                PROBLEMS[sizes],
                task,
                names,
                options.peers_python,
                rounds=options.rounds,
                warmup=options.warmup,
            )
            unit = result["milliseconds_per"]
            print(f"{sizes}, {task}:\n{report(result, ours=OURS[task], unit=unit)}\n", flush=True)
            if not options.dry_run:
                command = f"python -m benchmarks.diffusion_speed --peers-python PYTHON --sizes {sizes}"
                command += f" --task {task} --rounds {options.rounds} --warmup {options.warmup}"
                heading = {"benchmark": "diffusion_speed", "task": task, "command": command}
                vectors = result["machine"]["vectors"] or "unknown"
                write_result(f"diffusion_{task}_{sizes}_{vectors}", {**heading, **result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
