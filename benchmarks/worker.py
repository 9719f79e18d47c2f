"""The side of a comparison that runs in a process of its own: one implementation, timed block by block.

Standard library only, because a peer's environment has no artifex. The process says what it is, then runs one block
whenever the harness asks for one, so that only one process computes at a time.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, TextIO

GO = "go"


class Blocks(Iterator[None]):
    """Iterates once for each block that the harness asks for, and times what the loop's body does.

    for _ in blocks:
        train()         # must have finished computing when the body ends
    """

    def __init__(self, requests: TextIO, answers: TextIO):
        self._requests = requests
        self._answers = answers
        self._start: tuple[float, float] | None = None

    def __next__(self) -> None:
        if self._start is not None:
            wall, cpu = time.perf_counter() - self._start[0], time.process_time() - self._start[1]
            self._send({"seconds": wall, "cpu_seconds": cpu})
            self._start = None
        if self._requests.readline().strip() != GO:
            raise StopIteration
        self._start = time.perf_counter(), time.process_time()

    def _send(self, message: dict[str, Any]) -> None:
        self._answers.write(json.dumps(message) + "\n")
        self._answers.flush()


def serve(describe: Callable[[], dict[str, Any]], train: Callable[[Blocks], dict[str, Any]]) -> None:
    """Answer the harness on standard output; what libraries print goes to standard error.

    Args:
        describe: versions, device, and values that the harness checks before it times anything.
        train: runs blocks until there are no more; returns what is worth recording at the end.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    blocks = Blocks(sys.stdin, answers)
    blocks._send(describe())
    blocks._send(train(blocks))
