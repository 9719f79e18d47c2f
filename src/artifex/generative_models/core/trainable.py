"""Which leaves of a model are trained, and which are state that no gradient may touch."""

from typing import Any, TypeVar

import equinox as eqx
import jax
from jaxtyping import PyTree

ModelT = TypeVar("ModelT")


class Buffer(eqx.Module):
    """Arrays that belong to a model and are not trained: an EMA codebook, running statistics, chains.

    No gradient reaches them, no optimizer sees them. A loss that changes buffers returns the model with the new
    ones in `LossOutput.model`. A function that may hold arrays can stand here too.
    """

    value: PyTree


def is_buffer(node: Any) -> bool:
    """Whether a node of a PyTree is a `Buffer`."""
    return isinstance(node, Buffer)


def partition_trainable(model: ModelT) -> tuple[ModelT, ModelT]:
    """Split a model into trainable leaves and everything else; `eqx.combine` puts it together again.

    Trainable is every floating or complex array outside a `Buffer`.
    """
    spec = jax.tree.map(
        lambda node: False if is_buffer(node) else eqx.is_inexact_array(node), model, is_leaf=is_buffer
    )
    return eqx.partition(model, spec)


def take_buffers(model: ModelT, source: ModelT | None) -> ModelT:
    """`model` with the buffers of `source`, a model of the same structure; None changes nothing."""
    if source is None:
        return model
    return jax.tree.map(
        lambda ours, theirs: theirs if is_buffer(theirs) else ours, model, source, is_leaf=is_buffer
    )


def count_parameters(model: Any) -> int:
    """Number of trainable numbers in a model.

    >>> import jax
    >>> count_parameters(eqx.nn.Linear(3, 2, key=jax.random.key(0)))
    8
    """
    trainable, _ = partition_trainable(model)
    return sum(leaf.size for leaf in jax.tree.leaves(trainable))
