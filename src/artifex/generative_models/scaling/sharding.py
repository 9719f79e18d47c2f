"""Which device holds which part of an array: rules by path, with an automatic default.

The default is safe for every model. An array with at least 1024 entries is split over `fsdp` along its
largest axis that divides, or over `tensor` along its outputs, or over both along one axis; everything else is
repeated on every device.

Both stand on one axis because XLA's partitioner leaves out a sum where two axes are split and the batch is split
over `data` too (openxla/xla issue 40034, seen in jax 0.10.2): the gradients of a residual MLP whose weights were split
as ("tensor", "fsdp") were wrong by 80 %, without a message. Rules of your own should keep to one axis as well.
The state of an optimizer has the shapes of the parameters, and their paths at the end of its own, so it is
split as they are.
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jax.tree_util import KeyPath
from jaxtyping import Array, PyTree

from artifex.generative_models.core.configuration import ShardingRuleConfig
from artifex.generative_models.core.paths import leaf_path, named_leaves
from artifex.utils.messages import unknown_name

MIN_SPLIT_SIZE = 1024  # smaller arrays cost more to gather than to keep


def tree_shardings(
    mesh: Mesh, tree: PyTree[Any], rules: Sequence[ShardingRuleConfig] = ()
) -> PyTree[NamedSharding]:
    """The sharding of each array of a tree: a model, an optimizer's state, or a whole training state.

    Args:
        mesh: from `make_mesh`.
        tree: arrays or `jax.ShapeDtypeStruct`s (as `eqx.filter_eval_shape` gives).
        rules: the first one that matches a leaf holds for it; the others are split automatically.

    Raises:
        ValueError: a rule splits an axis that its mesh axis does not divide.
        TypeError: a leaf is not an array.
    """
    for rule in rules:
        for name in rule.spec:
            if name is not None and name not in mesh.axis_names:
                raise ValueError(unknown_name("mesh axis", name, mesh.axis_names))

    def sharding(path: KeyPath, leaf: Any) -> NamedSharding:
        if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
            raise TypeError(
                f"only arrays can be sharded; got {leaf!r} at {leaf_path(path)}. "
                "Pass `eqx.filter(tree, eqx.is_array)`."
            )
        return NamedSharding(mesh, _spec(mesh, leaf_path(path), leaf, rules))

    return jax.tree_util.tree_map_with_path(sharding, tree)


def check_rules(tree: PyTree[Any], rules: Sequence[ShardingRuleConfig]) -> None:
    """Raise unless each rule matches an array of a tree, so that a misspelt rule is not an idle one.

    Args:
        tree: the model, as arrays or `jax.ShapeDtypeStruct`s.
        rules: the rules of the mesh's config.

    Raises:
        ValueError: a rule matches nothing; the message lists the paths.
    """
    shapes = {path: leaf.shape for path, leaf in named_leaves(tree).items() if hasattr(leaf, "shape")}
    for rule in rules:
        if not any(_matches(rule, path, shape) for path, shape in shapes.items()):
            listing = ", ".join(f"{path} {shape}" for path, shape in shapes.items())
            raise ValueError(
                f"sharding rule {rule.pattern!r} with {len(rule.spec)} axes matches no array. "
                f"Arrays: {listing}"
            )


def replicated(mesh: Mesh) -> NamedSharding:
    """The sharding of an array that every device holds whole."""
    return NamedSharding(mesh, PartitionSpec())


def batch_sharding(mesh: Mesh, *, axis: int = 0) -> NamedSharding:
    """The sharding of a batch: examples are split over `data` and `fsdp`.

    Args:
        mesh: from `make_mesh`.
        axis: the axis of the examples; 1 for several batches stacked along axis 0.
    """
    return NamedSharding(mesh, PartitionSpec(*(None,) * axis, ("data", "fsdp")))


def check_batch_size(mesh: Mesh, batch_size: int) -> None:
    """Raise unless a batch splits evenly over the mesh.

    Raises:
        ValueError: the message names the nearest batch sizes that do.
    """
    data, fsdp = mesh.shape["data"], mesh.shape["fsdp"]
    parts = data * fsdp
    if batch_size > 0 and batch_size % parts == 0:
        return
    below = batch_size // parts * parts
    fitting = f"{below} or {below + parts}" if below > 0 else f"{parts}"
    raise ValueError(
        f"`batch_size` must be a multiple of data * fsdp = {data} * {fsdp} = {parts}; "
        f"got {batch_size}. Nearest that fit: {fitting}."
    )


def place(tree: PyTree[Any], shardings: PyTree[NamedSharding]) -> PyTree[Array]:
    """The arrays of a tree where `shardings` wants them; the devices may belong to several processes.

    Args:
        tree: arrays, whole and the same in every process.
        shardings: from `tree_shardings`.
    """
    if jax.process_count() == 1:
        return jax.device_put(tree, shardings)
    return jax.tree.map(_place_leaf, tree, shardings)


def _place_leaf(leaf: Any, sharding: NamedSharding) -> Array:
    if not jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return jax.device_put(leaf, sharding)
    # JAX puts no typed keys on another process's devices, but their words.
    words = jax.device_put(jax.random.key_data(leaf), sharding)
    return jax.random.wrap_key_data(words, impl=str(jax.random.key_impl(leaf)))


def _matches(rule: ShardingRuleConfig, path: str, shape: tuple[int, ...]) -> bool:
    return len(rule.spec) == len(shape) and re.search(rule.pattern, path) is not None


def _spec(mesh: Mesh, path: str, leaf: Any, rules: Sequence[ShardingRuleConfig]) -> PartitionSpec:
    if leaf.size <= 1:  # counters, and the placeholders in an optimizer's state
        return PartitionSpec()
    for rule in rules:
        if _matches(rule, path, leaf.shape):
            _check_divides(mesh, rule, path, leaf.shape)
            return PartitionSpec(*rule.spec)
    if leaf.size < MIN_SPLIT_SIZE or jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        return PartitionSpec()
    return _automatic_spec(leaf.shape, fsdp=mesh.shape["fsdp"], tensor=mesh.shape["tensor"])


def _check_divides(mesh: Mesh, rule: ShardingRuleConfig, path: str, shape: tuple[int, ...]) -> None:
    for axis, name in enumerate(rule.spec):
        if name is not None and shape[axis] % mesh.shape[name]:
            raise ValueError(
                f"sharding rule {rule.pattern!r} splits axis {axis} of {path}, shape {shape}, over the "
                f"{mesh.shape[name]} devices of {name!r}; {shape[axis]} is not a multiple of "
                f"{mesh.shape[name]}. Change the rule, the size of the layer or the mesh."
            )


def _automatic_spec(shape: tuple[int, ...], *, fsdp: int, tensor: int) -> PartitionSpec:
    def first_axis(parts: int, axes: Iterable[int]) -> int | None:
        return next((axis for axis in axes if parts > 1 and shape[axis] % parts == 0), None)

    by_size = sorted(range(len(shape)), key=lambda axis: -shape[axis])
    # Output axes first: weights are (out, in) or (out, in, height, width), stacks of layers one axis more.
    outputs_first = sorted(by_size, key=lambda axis: axis != len(shape) % 2 and len(shape) > 1)
    choices: list[tuple[str | tuple[str, ...], int | None]] = [
        # What fsdp saves comes before what tensor saves.
        ("fsdp", first_axis(fsdp, by_size)),
        ("tensor", first_axis(tensor, outputs_first)),
    ]
    if fsdp > 1 and tensor > 1:
        # Tensor first: what is gathered over fsdp is then one piece of the axis.
        choices.insert(0, (("tensor", "fsdp"), first_axis(fsdp * tensor, outputs_first)))
    spec: list[str | tuple[str, ...] | None] = [None] * len(shape)
    for names, axis in choices:
        if axis is not None:
            spec[axis] = names
            break
    return PartitionSpec(*spec)
