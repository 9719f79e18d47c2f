"""A neural spline flow, coupling and autoregressive: Artifex beside FlowJAX and zuko (PyTorch).

    python -m benchmarks.flow_speed --peers-python PATH [--form coupling|autoregressive] [--task train|log_prob|sample]

Equal sizes of vectors, layers, networks and splines; weights are each one's own. The numbers of parameters stand in the
result. Of the autoregressive form, samples take the sequential direction.
"""

import argparse
import dataclasses
import functools
import sys

from benchmarks.comparison import compare, report
from benchmarks.flow.problem import FORMS, TASKS, Problem
from benchmarks.harness import Worker, write_result

OURS = "artifex"
MODULES = {OURS: "artifex_loop", "flowjax": "flowjax_loop", "zuko": "zuko_loop"}


def start(name: str, form: str, task: str, peers_python: str) -> Worker:
    """Start the worker of an implementation."""
    python = sys.executable if name == OURS else peers_python
    return Worker(name, [python, "-m", f"benchmarks.flow.{MODULES[name]}", form, task])


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.flow_speed", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--peers-python", required=True, help="Python of the environment that benchmarks.peers makes"
    )
    parser.add_argument("--form", choices=FORMS, action="append", help="default: all")
    parser.add_argument("--task", choices=TASKS, action="append", help="default: all")
    parser.add_argument("--rounds", type=int, default=8, help="measured blocks of each")
    parser.add_argument("--warmup", type=int, default=1, help="blocks of each that are dropped")
    parser.add_argument("--dry-run", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    problem = Problem()
    for form in options.form or FORMS:
        for task in options.task or TASKS:
            result = compare(
                {name: functools.partial(start, name, form, task, options.peers_python) for name in MODULES},
                ours=OURS,
                check=lambda worker: None,
                units_per_block=problem.calls_per_block,
                rounds=options.rounds,
                warmup=options.warmup,
            )
            print(f"{form}, {task}:\n{report(result, ours=OURS, unit='call')}\n", flush=True)
            if not options.dry_run:
                command = f"python -m benchmarks.flow_speed --peers-python PYTHON --form {form} --task {task}"
                command += f" --rounds {options.rounds} --warmup {options.warmup}"
                heading = {"benchmark": "flow_speed", "form": form, "task": task, "command": command}
                about = {"problem": dataclasses.asdict(problem), "milliseconds_per": "call"}
                write_result(f"flow_{task}_{form}", {**heading, **about, **result})
    return 0


if __name__ == "__main__":
    sys.exit(main())
