"""Batches of a training that has no data."""

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, Key, PyTree

from artifex.data.batches import AbstractBatches, checked_position
from artifex.generative_models.core.representations import Identity


class Draws(AbstractBatches):
    """For a loss that makes its own examples: a batch holds the numbers of the draws, 0 to `batch_size` - 1.

    So a step knows how many to make, and a mesh of devices shares them out as it does examples.
    """

    def __init__(self, batch_size: int):
        """Batches of so many draws."""
        self._position = 0
        self.batch_size = batch_size
        self.is_per_process = False
        self.representation = Identity()

    @property
    def resident(self) -> PyTree[Array]:
        """Nothing."""
        return ()

    def take(self, num: int) -> Int[np.ndarray, "num batch"]:
        """The numbers, once for each of the next `num` batches."""
        self._position += num
        return np.tile(np.arange(self.batch_size, dtype=np.int32), (num, 1))

    def prepare(
        self, resident: PyTree[Array], item: PyTree[Array | np.ndarray], *, key: Key[Array, ""]
    ) -> dict[str, PyTree[Array]]:
        """The numbers as `"x"`."""
        return {"x": jnp.asarray(item)}

    def state(self) -> dict[str, Any]:
        """Number of the next batch."""
        return {"next_batch": self._position, "batch_size": self.batch_size}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go to a position; the batches are all alike."""
        self._position = checked_position(state, {"batch_size": self.batch_size})
