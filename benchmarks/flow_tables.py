"""Neural spline flows on UCI tables: Artifex beside FlowJAX, for the same wall time.

    python -m benchmarks.flow_tables --peers-python PATH [--table protein] [--seconds 120]

Both get the same rows in the same order, the same batch size and optimizer, and a flow of the same make: couplings of
the second half of the entries by rational-quadratic splines, with an MLP of the first half, a permutation between the
layers. Both run through `fit`-like loops on the device, keep the parameters that are best on the validation rows,
seen after each epoch, and stop when the time is over; compilation is not counted. FlowJAX runs the step of its
`fit_to_data`, without the transfer of the loss to the host after each step.
"""

import argparse
import dataclasses
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from artifex.generative_models.core.configuration import TabularDataConfig, UCITableConfig
from artifex.generative_models.modalities import load_data
from benchmarks.flow.tables_problem import TABLES, Settings
from benchmarks.harness import machine, write_result

OURS = "artifex"
MODULES = {OURS: "tables_artifex", "flowjax": "tables_flowjax"}
NOISE = {"keggdirected": 0.01, "parkinsons": 0.01}  # values repeat, so without it the density has no bound


def write_rows(folder: Path, table: str) -> dict[str, Any]:
    """The standardized rows of a table, for both."""
    config = TabularDataConfig(dataset=UCITableConfig(name=table), noise=NOISE.get(table, 0.0))
    data = load_data(config)
    parts = {"train": data.train, "validation": data.validation, "test": data.test}
    rows = {
        name: np.asarray(data.representation.encode(part.rows(np.arange(len(part)))["x"]))
        for name, part in parts.items()
        if part is not None
    }
    np.savez(folder / "rows.npz", **rows)
    return {"rows": {name: list(part.shape) for name, part in rows.items()}, "noise": config.noise}


def trained(
    name: str, folder: Path, settings: Settings, peers_python: str
) -> tuple[dict[str, Any], np.ndarray]:
    """What an implementation reports, and its log-likelihood of each test row."""
    python = sys.executable if name == OURS else peers_python
    arguments = json.dumps(dataclasses.asdict(settings))
    subprocess.run(
        [python, "-m", f"benchmarks.flow.{MODULES[name]}", str(folder), arguments],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    report = json.loads((folder / f"{name}.json").read_text())
    return report, np.load(folder / f"{name}.npy").astype(np.float64)


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.flow_tables", description=__doc__.split("\n")[0]
    )
    parser.add_argument(
        "--peers-python", required=True, help="Python of the environment that benchmarks.peers makes"
    )
    parser.add_argument("--table", choices=TABLES, action="append", help="default: all")
    parser.add_argument("--seconds", type=float, default=120.0, help="of training, for each")
    parser.add_argument("--dry-run", action="store_true", help="write no result file")
    options = parser.parse_args(arguments)
    settings = Settings(seconds=options.seconds)
    for table in options.table or TABLES:
        conditions = machine()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            about = write_rows(folder, table)
            found = {impl: trained(impl, folder, settings, options.peers_python) for impl in MODULES}
        difference = found[OURS][1] - found["flowjax"][1]
        result = {
            "benchmark": "flow_tables",
            "table": table,
            "command": f"python -m benchmarks.flow_tables --peers-python PYTHON --table {table} "
            f"--seconds {options.seconds:g}",
            "machine": conditions,
            "settings": dataclasses.asdict(settings),
            **about,
            "unit": "nats per standardized row",
            "implementations": {impl: report for impl, (report, _) in found.items()},
            "artifex minus flowjax": {
                "mean": float(difference.mean()),
                "standard_error": float(difference.std(ddof=1) / np.sqrt(len(difference))),
            },
        }
        for impl, (report, _) in found.items():
            print(
                f"{table}, {impl}: test log-likelihood {report['test_log_likelihood']:.4f}, best after "
                f"{report['best_step']} of {report['steps']} steps, {report['milliseconds_per_step']:.2f} ms each",
                flush=True,
            )
        print(f"{table}: difference {result['artifex minus flowjax']}", flush=True)
        if not options.dry_run:
            write_result(f"flow_tables_{table}", result)
    return 0


if __name__ == "__main__":
    sys.exit(main())
