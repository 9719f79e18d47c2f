"""Data sets: stored examples together with the representation in which a model sees them."""

import abc
import dataclasses
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Int, Key, PyTree

from artifex.data.batches import AbstractBatches, ResidentBatches, encoded
from artifex.data.draws import Draws
from artifex.data.iterables import IterableBatches
from artifex.data.sources.arrays import ArrayRows, RowSource
from artifex.data.stream import StreamBatches
from artifex.generative_models.core.random import check_key
from artifex.generative_models.core.representations import AbstractRepresentation, Identity

RESIDENT_BYTES = 2**30
"""Data sets up to this size in their stored form are put on the device as a whole; larger ones are streamed."""


class AbstractDataset(abc.ABC):
    """Examples that can be counted, read by index and trained on.

    Attributes:
        representation: how a model sees the examples.
    """

    representation: AbstractRepresentation

    @abc.abstractmethod
    def __len__(self) -> int:
        """Number of examples."""

    @abc.abstractmethod
    def rows(self, indices: Int[np.ndarray, " batch"]) -> dict[str, PyTree[np.ndarray]]:
        """Examples in their stored form: a mapping with `"x"` and maybe `"condition"`."""

    @abc.abstractmethod
    def batches(self, batch_size: int, *, seed: int, shuffle: bool = True) -> AbstractBatches:
        """Training batches without end, in the model's form once prepared.

        Args:
            batch_size: examples of a batch; what remains of an epoch after the last full batch is left out.
            seed: of the shuffling.
            shuffle: whether to shuffle, each epoch in another way.
        """

    def batch(
        self, indices: Int[np.ndarray, " batch"] | Iterable[int], *, key: Key[Array, ""]
    ) -> dict[str, PyTree[Array]]:
        """The examples at `indices` in the model's form.

        Args:
            indices: positions in the data set.
            key: randomness of a stochastic representation; example `i` of the data set gets `fold_in(key, i)`,
                whatever stands beside it.

        Returns:
            A mapping with `"x"` and maybe `"condition"`.
        """
        check_key(key)
        positions = np.asarray(indices if isinstance(indices, np.ndarray) else list(indices), np.int32)
        if positions.size == 0:
            raise ValueError("`indices` is empty: a batch needs at least one example")
        if positions.min() < 0 or positions.max() >= len(self):
            raise IndexError(
                f"`indices` must lie in [0, {len(self)}); got {positions.min()} to {positions.max()}"
            )
        keys = self.keys(positions, key=key) if self.representation.is_stochastic else None
        return encoded(self.representation, self.rows(positions), key=keys)

    def keys(self, indices: Int[np.ndarray, " batch"], *, key: Key[Array, ""]) -> Key[Array, " batch"]:
        """The keys with which `batch` encodes these examples."""
        return jax.vmap(lambda i: jax.random.fold_in(key, i))(indices)

    def epoch(self, batch_size: int, *, key: Key[Array, ""]) -> Iterator[dict[str, PyTree[Array]]]:
        """All examples once, in order, in the model's form; the last batch may be shorter."""
        if batch_size < 1:
            raise ValueError(f"`batch_size` must be at least 1; got {batch_size}")
        for start in range(0, len(self), batch_size):
            yield self.batch(np.arange(start, min(start + batch_size, len(self))), key=key)


class Dataset(AbstractDataset):
    """Examples in memory.

    >>> import jax
    >>> import numpy as np
    >>> data = Dataset({"x": np.zeros((10, 3))})
    >>> len(data), data.batch([1, 2], key=jax.random.key(0))["x"].shape
    (10, (2, 3))

    Attributes:
        arrays: the stored form, by `"x"` and maybe `"condition"`.
        representation: how a model sees the examples.
    """

    def __init__(
        self,
        arrays: Mapping[str, Any] | np.ndarray | Array,
        representation: AbstractRepresentation | None = None,
    ):
        """A data set of arrays with one leading length.

        Args:
            arrays: `"x"` and maybe `"condition"`, or the array `x` alone; float64 becomes
                float32, 64-bit integers become int32.
            representation: None: a model sees what is stored.

        Raises:
            TypeError: an entry is no array of numbers.
            ValueError: no examples, different numbers of them, or NaN.
        """
        self._source = ArrayRows(arrays)
        self.representation = Identity() if representation is None else representation

    @property
    def arrays(self) -> dict[str, PyTree[np.ndarray]]:
        """The stored arrays."""
        return self._source.arrays

    def __len__(self) -> int:
        """Number of examples."""
        return len(self._source)

    def rows(self, indices: Int[np.ndarray, " batch"]) -> dict[str, PyTree[np.ndarray]]:
        """Examples in their stored form."""
        return self._source.rows(indices)

    def batches(
        self, batch_size: int, *, seed: int, shuffle: bool = True, resident_bytes: int = RESIDENT_BYTES
    ) -> AbstractBatches:
        """Training batches without end; arrays of more than `resident_bytes` stay on the host."""
        if sum(leaf.nbytes for leaf in jax.tree.leaves(self.arrays)) <= resident_bytes:
            return ResidentBatches(self.arrays, self.representation, batch_size, seed=seed, shuffle=shuffle)
        return StreamBatches(self._source, self.representation, batch_size, seed=seed, shuffle=shuffle)


class StreamedDataset(AbstractDataset):
    """Examples that are read from a source whenever they are needed, such as the files of a folder."""

    def __init__(self, source: RowSource, representation: AbstractRepresentation | None = None):
        """A data set of what `source` reads.

        Raises:
            ValueError: the source is empty.
        """
        if len(source) == 0:
            raise ValueError("data is empty: at least one example is required")
        self._source = source
        self.representation = Identity() if representation is None else representation

    def __len__(self) -> int:
        """Number of examples."""
        return len(self._source)

    def rows(self, indices: Int[np.ndarray, " batch"]) -> dict[str, PyTree[np.ndarray]]:
        """Examples in their stored form."""
        return self._source.rows(indices)

    def batches(self, batch_size: int, *, seed: int, shuffle: bool = True) -> AbstractBatches:
        """Training batches without end, read by background threads."""
        return StreamBatches(self._source, self.representation, batch_size, seed=seed, shuffle=shuffle)


@dataclasses.dataclass(frozen=True, eq=False)
class DataSplits:
    """Parts of a data set that share no example.

    Attributes:
        train: to train on.
        validation: to choose by; None: there is none.
        test: to report on; None: there is none.
        representation: how a model sees the examples of all parts.
    """

    train: AbstractDataset
    validation: AbstractDataset | None
    test: AbstractDataset | None
    representation: AbstractRepresentation


def as_dataset(data: Any) -> AbstractDataset:
    """A data set of what the user has: a data set, an array, or a mapping with `"x"` and maybe `"condition"`.

    Raises:
        TypeError: it is something else.
        ValueError: the arrays cannot be trained on; see `Dataset`.
    """
    if isinstance(data, AbstractDataset):
        return data
    if isinstance(data, DataSplits):
        raise TypeError("a data set is one part of the splits: give `splits.train`, `.validation` or `.test`")
    if isinstance(data, Mapping | np.ndarray | jax.Array):
        return Dataset(data)
    raise TypeError(
        f"data must be a Dataset, an array, or a mapping with 'x' and maybe 'condition'; got {type(data).__name__}"
    )


def without_conditions(data: AbstractDataset) -> AbstractDataset:
    """The same examples, for a model that takes no conditions."""
    if isinstance(data, Dataset):
        return Dataset({"x": data.arrays["x"]}, data.representation)
    return StreamedDataset(_ExamplesAlone(data), data.representation)


@dataclasses.dataclass(frozen=True, eq=False)
class _ExamplesAlone:
    """Rows of a data set without their conditions."""

    data: AbstractDataset

    def __len__(self) -> int:
        return len(self.data)

    def rows(self, indices: Int[np.ndarray, " batch"]) -> dict[str, PyTree[np.ndarray]]:
        return {"x": self.data.rows(indices)["x"]}


def as_batches(
    data: Any, batch_size: int, *, seed: int, representation: AbstractRepresentation | None = None
) -> AbstractBatches:
    """Training batches of what the user has.

    Args:
        data: batches already; what `as_dataset` takes; an iterable of batches (or a function that makes one); or
            None for a loss that makes its own examples.
        batch_size: examples of a batch. An iterable must give batches of this size.
        seed: of the shuffling. An iterable is not shuffled.
        representation: how the model sees the batches of an iterable; None: as they are.

    Raises:
        TypeError: the data are nothing of that.
        ValueError: they cannot be trained on, or a batch is larger than the data.
    """
    if data is None:
        return Draws(batch_size)
    if isinstance(data, AbstractBatches):
        if data.batch_size != batch_size:
            raise ValueError(f"the batches hold {data.batch_size} examples, but `batch_size` is {batch_size}")
        return data
    if isinstance(data, AbstractDataset | DataSplits | Mapping | np.ndarray | jax.Array):
        return as_dataset(data).batches(batch_size, seed=seed)
    if isinstance(data, str | bytes) or not isinstance(data, Iterable | Callable):
        raise TypeError(
            "data must be a Dataset, an array, a mapping with 'x' and maybe 'condition', or an iterable of batches; "
            f"got {type(data).__name__}"
        )
    return IterableBatches(data, Identity() if representation is None else representation, batch_size)
