"""Names of run folders below `runs/`."""

import re
from pathlib import Path

from artifex.generative_models.zoo.folders import holds_run

RUNS = Path("runs")


def fresh_run_dir(name: str) -> Path:
    """`runs/NAME`, or where that exists the first of `runs/NAME-2`, `runs/NAME-3`, ... that does not."""
    number = 1
    while (folder := _folder(name, number)).exists():
        number += 1
    return folder


def newest_run_dir(name: str) -> Path | None:
    """The folder with the highest number that holds a run of this name, or None."""
    pattern = re.compile(re.escape(name) + r"(?:-([2-9]|[1-9]\d+))?")
    found = [
        (int(match[1] or 1), path)
        for path in (RUNS.iterdir() if RUNS.is_dir() else ())
        if (match := pattern.fullmatch(path.name)) and holds_run(path)
    ]
    return max(found)[1] if found else None


def _folder(name: str, number: int) -> Path:
    return RUNS / (name if number == 1 else f"{name}-{number}")
