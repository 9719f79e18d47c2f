"""Side-by-side timing: every implementation in a process of its own, blocks in turn, ratios within a round.

Noise of the machine hits all implementations alike, and a ratio of two blocks that ran one after the other loses
most of it. The order is reversed from round to round, so that a drift cancels too.
"""

import dataclasses
import datetime
import json
import os
import platform
import statistics
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.worker import GO

ROOT = Path(__file__).parent.parent
RESULTS = Path(__file__).parent / "results"
# A thread pool may spin for a moment after its work; the next process must not feel it.
PAUSE_SECONDS = 0.2


class WorkerError(RuntimeError):
    """A worker process ended before its time; the message holds what it wrote."""


class Block(NamedTuple):
    """What one block took: time on the clock, and time of all cores together, which others' load changes less."""

    seconds: float
    cpu_seconds: float


class Worker:
    """A process that holds one implementation.

    Attributes:
        about: what the implementation says of itself.
    """

    def __init__(self, name: str, command: Sequence[str]):
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (as long as the process)
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            # Flags of the caller's shell would change some implementations and not the others.
            env={name: value for name, value in os.environ.items() if name != "XLA_FLAGS"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        try:
            self.about = self._read()
        except BaseException:
            self.kill()
            raise

    def block(self) -> "Block":
        """Run one block."""
        self._write(GO)
        return Block(**self._read())

    def close(self) -> dict[str, Any]:
        """End the process; returns its last words."""
        self._write("stop")
        last = self._read()
        self._process.wait()
        self._close_files()
        return last

    def kill(self) -> None:
        """End the process at once, if it still runs."""
        self._process.kill()
        self._process.wait()
        self._close_files()

    def _close_files(self) -> None:
        for file in (self._process.stdin, self._process.stdout, self._errors):
            file.close()

    def _write(self, line: str) -> None:
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _read(self) -> dict[str, Any]:
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait()
            self._errors.seek(0)
            tail = "".join(self._errors.readlines()[-15:])
            raise WorkerError(f"worker {self.name!r} ended with code {code}:\n{tail}")
        return json.loads(line)


@dataclasses.dataclass(frozen=True)
class Spread:
    """Median, quartiles and extremes of repeated measurements."""

    median: float
    quartiles: tuple[float, float]
    extremes: tuple[float, float]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least two values."""
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(statistics.median(values), (low, high), (min(values), max(values)))

    def __str__(self) -> str:
        return f"{self.median:.3f} [{self.quartiles[0]:.3f}, {self.quartiles[1]:.3f}]"

    def to_mapping(self, digits: int = 4) -> dict[str, Any]:
        """For a result file."""
        return {
            "median": round(self.median, digits),
            "quartiles": [round(value, digits) for value in self.quartiles],
            "extremes": [round(value, digits) for value in self.extremes],
        }


def interleave(workers: Sequence[Worker], *, rounds: int, warmup: int) -> dict[str, list[Block]]:
    """What each block took, by implementation and round.

    Args:
        workers: the implementations.
        rounds: measured blocks of each.
        warmup: blocks of each that are run before and dropped; compilation is in the first.
    """
    blocks: dict[str, list[Block]] = {worker.name: [] for worker in workers}
    for turn in range(warmup + rounds):
        for worker in workers if turn % 2 == 0 else reversed(workers):
            time.sleep(PAUSE_SECONDS)
            block = worker.block()
            if turn >= warmup:
                blocks[worker.name].append(block)
    return blocks


def ratios(seconds: Mapping[str, Sequence[float]], of: str) -> dict[str, Spread]:
    """Time of `of` over that of every other implementation, taken within rounds: below 1, `of` is faster."""
    return {
        name: Spread.of([ours / theirs for ours, theirs in zip(seconds[of], values, strict=True)])
        for name, values in seconds.items()
        if name != of
    }


def machine() -> dict[str, Any]:
    """What the numbers depend on; nothing that names the machine or its owner."""
    described = _described_cpu()
    flags = described.get("flags", "").split()
    vectors = next((name for name in ("avx512f", "avx2", "avx") if name in flags), None)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "cpu": described.get("model name") or platform.processor() or platform.machine(),
        "vectors": vectors,
        "cores": cores,
        "system": platform.system(),
        "load_average_before": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
    }


def _described_cpu() -> dict[str, str]:
    """What Linux says of the first core; elsewhere nothing."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return {}
    first = info.read_text().split("\n\n")[0]
    pairs = (line.split(":", 1) for line in first.splitlines() if ":" in line)
    return {name.strip(): value.strip() for name, value in pairs}


def write_result(name: str, result: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Write a result file, `<name>.json`, in one piece."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.json"
    temporary = path.with_suffix(".json.tmp")
    dated = {"date": datetime.datetime.now(datetime.UTC).date().isoformat(), **result}
    temporary.write_text(json.dumps(dated, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)
    return path
