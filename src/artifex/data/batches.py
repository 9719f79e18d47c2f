"""Endless streams of training batches, whose position can be saved and restored exactly.

A compiled train step gets three things: `resident`, arrays that stay on the device for the whole run; one slice of
`take`, made on the host; and a key. `prepare` makes the batch of them inside the step, so the representation is
compiled and fused with the model, and its noise comes from the step's key.

In a run of several processes, data that `is_per_process` give each process its own rows of the batch (in the order
of the processes); the others give the same to every process.
"""

import abc
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Key, PyTree

from artifex.data.checks import num_examples
from artifex.data.order import BatchOrder
from artifex.generative_models.core.representations import AbstractRepresentation, Identity


class AbstractBatches(abc.ABC):
    """Training batches, one after the other, without end.

    Attributes:
        batch_size: number of examples of a batch, over all processes.
        is_per_process: whether `take` gives this process's rows of each batch only.
        representation: how the model sees the examples.
    """

    batch_size: int
    is_per_process: bool
    representation: AbstractRepresentation

    @property
    @abc.abstractmethod
    def resident(self) -> PyTree[Array]:
        """Arrays that every compiled step gets; `()` where the batches come from the host."""

    @abc.abstractmethod
    def take(self, num: int) -> PyTree[np.ndarray]:
        """The next `num` batches for `prepare`, stacked: leading axes `(num, batch)`. Moves the position on."""

    @abc.abstractmethod
    def prepare(
        self, resident: PyTree[Array], item: PyTree[Array | np.ndarray], *, key: Key[Array, ""]
    ) -> dict[str, PyTree[Array]]:
        """A batch in the model's form; pure, to be called inside the compiled step.

        Args:
            resident: the arrays of `resident`.
            item: one slice of what `take` gave, along its first axis.
            key: randomness of a stochastic representation.

        Returns:
            A mapping with `"x"` and maybe `"condition"`.
        """

    @abc.abstractmethod
    def state(self) -> dict[str, Any]:
        """The position, as plain values that JSON can hold."""

    @abc.abstractmethod
    def restore(self, state: Mapping[str, Any]) -> None:
        """Go to a position that `state` gave: the batches that follow are the same.

        Raises:
            ValueError: the position belongs to other data, another batch size or another seed.
        """


class ResidentBatches(AbstractBatches):
    """Arrays that lie on the device; a batch costs the host only its indices."""

    def __init__(
        self,
        arrays: Mapping[str, PyTree[np.ndarray]],
        representation: AbstractRepresentation,
        batch_size: int,
        *,
        seed: int,
        shuffle: bool = True,
    ):
        """Put checked arrays on the device; parameters as of `Dataset.batches`."""
        self._order = BatchOrder(num_examples(arrays), batch_size, seed=seed, shuffle=shuffle)
        self._resident = jax.tree.map(jnp.asarray, dict(arrays))
        self._position = 0
        self.batch_size = batch_size
        self.is_per_process = False
        self.representation = representation

    @property
    def resident(self) -> PyTree[Array]:
        """The whole data set, in its stored form."""
        return self._resident

    def take(self, num: int) -> np.ndarray:
        """Indices of the next `num` batches, int32, shape `(num, batch)`."""
        indices = np.stack([self._order.batch(self._position + i) for i in range(num)])
        self._position += num
        return indices

    def prepare(
        self, resident: PyTree[Array], item: PyTree[Array | np.ndarray], *, key: Key[Array, ""]
    ) -> dict[str, PyTree[Array]]:
        """Gather the rows and encode them."""
        return encoded(self.representation, jax.tree.map(lambda array: array[item], resident), key=key)

    def state(self) -> dict[str, Any]:
        """Number of the next batch, and what it refers to."""
        return {"next_batch": self._position, **self._order.describe()}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go to a position; costs nothing."""
        self._position = checked_position(state, self._order.describe())


def encoded(
    representation: AbstractRepresentation, rows: Mapping[str, PyTree[Any]], *, key: Key[Array, "..."] | None
) -> dict[str, PyTree[Array]]:
    """Stored rows in the model's form: `x` through the representation, the condition as it is.

    Args:
        representation: how the model sees `x`.
        rows: a mapping with `"x"` and maybe `"condition"`.
        key: one key, or one for each row; see `AbstractRepresentation.encode`.
    """
    batch = {"x": representation.encode(rows["x"], key=key)}
    if "condition" in rows:
        batch["condition"] = Identity().encode(rows["condition"])
    return batch


def local_batch_size(batch_size: int, process_count: int) -> int:
    """Examples of each batch that one process reads.

    Raises:
        ValueError: the batch cannot be divided equally.
    """
    if batch_size < 1 or batch_size % process_count:
        raise ValueError(
            f"`batch_size` must be a positive multiple of the number of processes, {process_count}; got {batch_size}"
        )
    return batch_size // process_count


def checked_position(state: Mapping[str, Any], here: Mapping[str, Any]) -> int:
    """The number of the next batch in a saved position.

    Args:
        state: the saved position.
        here: names and values that must be the same in it.

    Raises:
        ValueError: one of them differs.
    """
    for name, value in here.items():
        if state.get(name) != value:
            raise ValueError(
                f"the saved position belongs to data with {name}={state.get(name)}, but here {name}={value}; "
                "resume with the same data and settings"
            )
    return int(state["next_batch"])
