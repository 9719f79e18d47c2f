"""Metrics of a run: JSON lines, one a record, and TensorBoard events."""

import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

METRICS_FILE = "metrics.jsonl"


class MetricLog:
    """Keeps the records of a run, and writes them to its folder if it has one.

    A record is `{"step": ..., "time": ..., "split": ..., "<metric>": ...}`, with the time in seconds of training.
    """

    def __init__(self, run_dir: Path | None, *, first_step: int):
        """Args:
        run_dir: the run folder, or None.
        first_step: where the run goes on; records of later steps, written before a break, are taken back.
        """
        self.records: list[dict[str, Any]] = []
        self._writer: Any = None
        self._file: Any = None
        if run_dir is not None:
            path = run_dir / METRICS_FILE
            if path.exists():
                self.records = [r for r in read_records(path) if r["step"] <= first_step]
            write_records(path, self.records)
            self._file = path.open("a", encoding="utf-8")
            from tensorboardX import SummaryWriter

            self._writer = SummaryWriter(str(run_dir), purge_step=first_step + 1 if first_step else None)
        elapsed = self.records[-1]["time"] if self.records else 0.0
        self._start = time.monotonic() - elapsed

    def write(self, step: int, split: str, metrics: Mapping[str, float]) -> None:
        """Append one record."""
        record = {"step": step, "time": round(time.monotonic() - self._start, 4), "split": split, **metrics}
        self.records.append(record)
        if self._file is None:
            return
        self._file.write(_line(record))
        self._file.flush()
        for name, value in metrics.items():
            self._writer.add_scalar(f"{split}/{name}", value, step)

    def close(self) -> None:
        """Close the files."""
        if self._file is not None:
            self._file.close()
            self._writer.close()


def read_records(path: Path) -> list[dict[str, Any]]:
    """Records of a metrics file, oldest first; a last line that a crash cut short is left out.

    Raises:
        ValueError: a line before the last is not JSON.
    """
    records = []
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            records.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines) and not line.endswith("\n"):
                break
            raise ValueError(f"{path}, line {number}: not JSON ({error})") from None
    return records


def write_records(path: Path, records: list[dict[str, Any]]) -> None:
    """Replace a metrics file, whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text("".join(map(_line, records)), encoding="utf-8")
    temporary.replace(path)


def _line(record: Mapping[str, Any]) -> str:
    # JSON has no NaN or infinity; null says that there is no number.
    plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in record.items()}
    return json.dumps(plain) + "\n"
