"""The order of training examples: a permutation for each epoch, known from the seed and the epoch alone.

So the position in a run is one number, the count of batches, and going there costs nothing.
"""

import functools

import numpy as np
from jaxtyping import Int


class BatchOrder:
    """Which examples the batch at each position holds, for ever.

    Every epoch visits each example at most once; what remains after the last full batch is left out of that epoch
    (another part each time, when shuffled).
    """

    def __init__(self, size: int, batch_size: int, *, seed: int, shuffle: bool):
        """Order of `size` examples in batches of `batch_size`.

        Raises:
            ValueError: a batch is larger than the data.
        """
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1; got {batch_size}")
        if batch_size > size:
            raise ValueError(
                f"`batch_size` must be at most the number of examples, {size}; got {batch_size}. "
                f"Set batch_size={size} or less."
            )
        if size > np.iinfo(np.int32).max:
            raise ValueError(f"at most 2^31 - 1 examples can be indexed; got {size}")
        self.size = size
        self.batch_size = batch_size
        self.seed = seed
        self.shuffle = shuffle

    @property
    def batches_per_epoch(self) -> int:
        """Number of full batches in an epoch."""
        return self.size // self.batch_size

    def batch(self, position: int) -> Int[np.ndarray, " batch"]:
        """Indices of the examples of one batch, int32."""
        epoch, within = divmod(position, self.batches_per_epoch)
        order = _permutation(self.size, self.seed, epoch) if self.shuffle else _in_order(self.size)
        return order[within * self.batch_size : (within + 1) * self.batch_size]

    def describe(self) -> dict[str, int | bool]:
        """What must be the same for a position to mean the same batch."""
        return {
            "size": self.size,
            "batch_size": self.batch_size,
            "seed": self.seed,
            "shuffle": self.shuffle,
        }


@functools.lru_cache(maxsize=8)
def _permutation(size: int, seed: int, epoch: int) -> Int[np.ndarray, " size"]:
    order = np.random.default_rng([seed, epoch]).permutation(size).astype(np.int32)
    order.setflags(write=False)
    return order


@functools.lru_cache(maxsize=2)
def _in_order(size: int) -> Int[np.ndarray, " size"]:
    order = np.arange(size, dtype=np.int32)
    order.setflags(write=False)
    return order
