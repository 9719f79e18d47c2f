"""Settings and bookkeeping of the comparison on tables, for both sides. Only NumPy: every environment has it."""

import dataclasses
import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

TABLES = ("protein", "keggdirected", "kin40k", "parkinsons")
SEED = 1


@dataclasses.dataclass(frozen=True)
class Settings:
    """Sizes and optimizer.

    Attributes:
        seconds: wall time of training, validation included, compilation not.
        num_layers: layers of the flow.
        hidden_size: width of the network in each.
        num_hidden_layers: hidden layers of that network.
        num_bins: of each spline.
        bound: where splines end.
        batch_size: rows in a batch.
        learning_rate: of Adam.
    """

    seconds: float = 120.0
    num_layers: int = 8
    hidden_size: int = 64
    num_hidden_layers: int = 2
    num_bins: int = 8
    bound: float = 5.0
    batch_size: int = 512
    learning_rate: float = 1e-3


def epoch_order(size: int, epoch: int) -> np.ndarray:
    """The order of the rows in an epoch: that of Artifex, by its seed."""
    return np.random.default_rng([SEED, epoch]).permutation(size).astype(np.int32)


class Best:
    """The best parameters so far, by the validation rows, and the clock."""

    def __init__(self, seconds: float):
        self.value, self.parameters, self.step = -math.inf, None, 0
        self._seconds = seconds
        self._start = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return time.monotonic() - self._start

    @property
    def is_over(self) -> bool:
        """Whether the time is."""
        return self.seconds >= self._seconds

    def see(self, value: float, parameters: Any, step: int) -> None:
        """Keep what is better than all before."""
        if value > self.value:
            self.value, self.parameters, self.step = value, parameters, step


def arguments() -> tuple[Path, Settings, dict[str, np.ndarray]]:
    """The folder, the settings and the rows that the command line gives."""
    folder, settings = Path(sys.argv[1]), Settings(**json.loads(sys.argv[2]))
    with np.load(folder / "rows.npz") as rows:
        return folder, settings, dict(rows)


def write(folder: Path, name: str, test: np.ndarray, report: dict[str, Any]) -> None:
    """What the benchmark reads."""
    np.save(folder / f"{name}.npy", test)
    report["test_log_likelihood"] = float(np.mean(test, dtype=np.float64))
    (folder / f"{name}.json").write_text(json.dumps(report))
