"""Rows by index: the one thing that a data set asks of where its examples lie."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import jax
import numpy as np
from jaxtyping import Array, Int, PyTree

from artifex.data.checks import checked_arrays, num_examples


@runtime_checkable
class RowSource(Protocol):
    """Stored examples that can be read by index, from several threads at once."""

    def __len__(self) -> int:
        """Number of examples."""
        ...

    def rows(self, indices: Int[np.ndarray, " batch"]) -> dict[str, PyTree[np.ndarray]]:
        """The examples at `indices`, stacked: a mapping with `"x"` and maybe `"condition"`."""
        ...


class ArrayRows:
    """Rows of arrays in memory."""

    def __init__(self, arrays: Mapping[str, Any] | np.ndarray | Array):
        """Check and keep the arrays; see `checked_arrays`."""
        self.arrays = checked_arrays(arrays)

    def __len__(self) -> int:
        """Number of examples."""
        return num_examples(self.arrays)

    def rows(self, indices: Int[np.ndarray, " batch"]) -> dict[str, PyTree[np.ndarray]]:
        """The examples at `indices`."""
        return jax.tree.map(lambda array: array[indices], self.arrays)


class RowSubset:
    """Some rows of another source."""

    def __init__(self, source: RowSource, indices: Int[np.ndarray, " size"]):
        """Row `i` is row `indices[i]` of `source`."""
        self._source = source
        self._indices = indices

    def __len__(self) -> int:
        """Number of examples."""
        return len(self._indices)

    def rows(self, indices: Int[np.ndarray, " batch"]) -> dict[str, PyTree[np.ndarray]]:
        """The examples at `indices`."""
        return self._source.rows(self._indices[indices])
