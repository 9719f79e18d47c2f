"""Blocks of a comparison inside one call of `fit`."""

from typing import Any

from artifex.generative_models.training import Reached
from benchmarks.worker import Blocks


class NextBlock:
    """Callback that ends a block where it begins the next one, so that one call of `fit` runs all blocks."""

    def __init__(self, blocks: Blocks, steps_per_block: int):
        self.every = steps_per_block
        self._blocks = blocks

    def __call__(self, run: Any, event: Any) -> None:
        if isinstance(event, Reached) and next(self._blocks, "end") == "end":
            run.stop("no more blocks")
