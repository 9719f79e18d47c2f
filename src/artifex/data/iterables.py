"""Batches that a user's own iterable gives."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key, PyTree

from artifex.data.batches import AbstractBatches, checked_position, encoded, local_batch_size
from artifex.data.checks import checked_arrays, num_examples
from artifex.generative_models.core.representations import AbstractRepresentation


class IterableBatches(AbstractBatches):
    """Batches that the user's own iterable gives: arrays, or mappings with `"x"` and maybe `"condition"`.

    The iterable is iterated again at its end. Every batch holds `batch_size` examples (divided by the number of
    processes, where there are several, each with its own iterable); a shorter last one of a pass is left out.
    Restoring a position iterates from the beginning and skips, which is exact if the iterable, built in the same
    way, gives the same batches.
    """

    def __init__(
        self,
        batches: Iterable[Any] | Callable[[], Iterable[Any]],
        representation: AbstractRepresentation,
        batch_size: int,
    ):
        """Wrap an iterable, or a function without arguments that makes one for each pass."""
        self._batches = batches
        self._local = local_batch_size(batch_size, jax.process_count())
        self._stream = self._examples()
        self._position = 0
        self.batch_size = batch_size
        self.is_per_process = True
        self.representation = representation

    @property
    def resident(self) -> PyTree[Array]:
        """Nothing."""
        return ()

    def take(self, num: int) -> PyTree[np.ndarray]:
        """The next `num` batches, stacked."""
        batches = [self._next() for _ in range(num)]
        return jax.tree.map(lambda *arrays: np.stack(arrays), *batches)

    def prepare(
        self, resident: PyTree[Array], item: PyTree[Array | np.ndarray], *, key: Key[Array, ""]
    ) -> dict[str, PyTree[Array]]:
        """Encode the examples."""
        return encoded(self.representation, item, key=key)

    def state(self) -> dict[str, Any]:
        """Number of the next batch."""
        return {"next_batch": self._position, "batch_size": self.batch_size}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go to a position by iterating up to it."""
        position = checked_position(state, {"batch_size": self.batch_size})
        if isinstance(self._batches, Iterator):
            if position < self._position:
                raise ValueError(
                    f"the data are an iterator that has given {self._position} batches already, so batch {position} "
                    "cannot be reached again; give an iterable that can be iterated anew (a list, a data loader)"
                )
        else:
            self._stream, self._position = self._examples(), 0
        while self._position < position:
            self._next()

    def _next(self) -> dict[str, PyTree[np.ndarray]]:
        batch = next(self._stream)
        self._position += 1
        return batch

    def _examples(self) -> Iterator[dict[str, PyTree[np.ndarray]]]:
        """Full batches, pass after pass."""
        given = 0
        while True:
            before, short = given, None
            for batch in self._batches() if callable(self._batches) else self._batches:
                arrays = checked_arrays(batch, what=f"batch {given}")
                if short is not None or num_examples(arrays) > self._local:
                    raise ValueError(
                        f"every batch must hold {self._local} examples, and only the last of a pass may be shorter; "
                        f"got one of {short if short is not None else num_examples(arrays)}. Set `batch_size` to it, "
                        "or make the batches equal."
                    )
                if num_examples(arrays) < self._local:
                    short = num_examples(arrays)
                    continue
                given += 1
                yield arrays
            if given == before:
                raise ValueError(_exhausted(self._batches, given, short, self._local))


def _exhausted(batches: Any, given: int, short: int | None, size: int) -> str:
    if given and isinstance(batches, Iterator):
        return (
            f"the data are an iterator that ended after {given} batches, and training needs more; give an iterable "
            "that can be iterated anew (a list, a data loader, or a function that makes the generator)"
        )
    if short is not None:
        return (
            f"`batch_size` is {size} for each process, but the data's batches hold {short} examples; "
            f"set `batch_size` to what they hold"
        )
    return f"the iterable of batches gave no batch{f' after the first {given}' if given else ''}; training needs some"
