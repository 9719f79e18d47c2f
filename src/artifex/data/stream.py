"""Batches that background threads read from a source, for data that do not fit in memory."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key, PyTree

from artifex.data.batches import AbstractBatches, checked_position, encoded, local_batch_size
from artifex.data.order import BatchOrder
from artifex.data.sources.arrays import RowSource
from artifex.generative_models.core.representations import AbstractRepresentation


class StreamBatches(AbstractBatches):
    """Examples read, decoded and stacked by background threads, through a grain pipeline.

    The order is that of `ResidentBatches`: the same seed gives the same batches, and a position of the one is valid
    for the other. With several processes, each reads its own part of every batch only.
    """

    def __init__(
        self,
        source: RowSource,
        representation: AbstractRepresentation,
        batch_size: int,
        *,
        seed: int,
        shuffle: bool = True,
        num_threads: int = 4,
        num_prefetched: int = 8,
        process_index: int | None = None,
        process_count: int | None = None,
    ):
        """Set up the pipeline; nothing is read before the first `take`.

        Args:
            source: where the examples are read from.
            representation: how the model sees them.
            batch_size: examples of a batch, over all processes.
            seed: of the shuffling.
            shuffle: whether to shuffle, each epoch in another way.
            num_threads: threads that read; 0: read when asked.
            num_prefetched: batches that are read ahead.
            process_index: number of this process; None: JAX's.
            process_count: number of processes; None: JAX's.
        """
        import grain

        index = jax.process_index() if process_index is None else process_index
        count = jax.process_count() if process_count is None else process_count
        self._order = BatchOrder(len(source), batch_size, seed=seed, shuffle=shuffle)
        local = local_batch_size(batch_size, count)
        plan: Any = _Plan(self._order, slice(index * local, (index + 1) * local))
        options = grain.ReadOptions(num_threads=num_threads, prefetch_buffer_size=num_prefetched)
        self._pipeline = iter(grain.MapDataset.source(plan).map(source.rows).to_iter_dataset(options))
        self.batch_size = batch_size
        self.is_per_process = True
        self.representation = representation

    @property
    def resident(self) -> PyTree[Array]:
        """Nothing."""
        return ()

    def take(self, num: int) -> PyTree[np.ndarray]:
        """The next `num` batches in their stored form, stacked."""
        batches = [next(self._pipeline) for _ in range(num)]
        return jax.tree.map(lambda *arrays: np.stack(arrays), *batches)

    def prepare(
        self, resident: PyTree[Array], item: PyTree[Array | np.ndarray], *, key: Key[Array, ""]
    ) -> dict[str, PyTree[Array]]:
        """Encode the rows."""
        return encoded(self.representation, item, key=key)

    def state(self) -> dict[str, Any]:
        """Number of the next batch, and what it refers to."""
        return {"next_batch": int(self._pipeline.get_state()["next_index"]), **self._order.describe()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go to a position; nothing before it is read."""
        self._pipeline.set_state({"next_index": checked_position(state, self._order.describe())})


class _Plan:
    """Grain's view of an order: element `i` is the indices of batch `i`, of this process's part."""

    def __init__(self, order: BatchOrder, part: slice):
        self._order = order
        self._part = part

    def __len__(self) -> int:
        return 1 << 48  # no end: epochs are the order's affair

    def __getitem__(self, index: Any) -> np.ndarray:
        return self._order.batch(int(index))[self._part]
