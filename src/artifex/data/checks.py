"""Checks of raw data: what cannot be trained on is an error before anything is built."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from jaxtyping import PyTree

_CHUNK = 1 << 22  # entries looked at together, so that a check of big data needs little memory


def checked_arrays(data: Any, *, what: str = "data") -> dict[str, PyTree[np.ndarray]]:
    """A batch or a data set as a mapping of NumPy arrays, float64 as float32 and 64-bit integers as int32.

    Args:
        data: an array (it becomes `"x"`) or a mapping with `"x"` and maybe `"condition"`, whose values are arrays
            or PyTrees of arrays, all with the same leading length.
        what: name for the error messages.

    Raises:
        TypeError: an entry is no array of numbers.
        ValueError: no examples, different numbers of examples, NaN or infinity, or integers beyond 32 bits.
    """
    if isinstance(data, list | tuple) and any(np.ndim(item) > 0 and hasattr(item, "shape") for item in data):
        raise TypeError(
            f"{what} is a {type(data).__name__} of arrays, which does not say what they are; "
            "give a mapping: {'x': ..., 'condition': ...}"
        )
    mapping = dict(data) if isinstance(data, Mapping) else {"x": data}
    wrong = sorted(str(name) for name in mapping if name not in ("x", "condition"))
    if "x" not in mapping or wrong:
        raise ValueError(
            f"{what} must be an array, or a mapping with 'x' and maybe 'condition'; got the entries "
            f"{sorted(map(str, mapping))}"
        )
    mapping = {name: value for name, value in mapping.items() if value is not None}
    if "x" not in mapping:
        raise TypeError(f"{what}: 'x' must be an array; got None")
    arrays = jax.tree_util.tree_map_with_path(
        lambda path, leaf: _checked_array(leaf, f"{what}[{path[0].key!r}]"),
        mapping,
        is_leaf=lambda node: isinstance(node, list),  # a list of numbers is an array, not a tree of numbers
    )
    lengths = [leaf.shape[0] for leaf in jax.tree.leaves(arrays)]
    if not lengths or min(lengths) == 0:
        raise ValueError(f"{what} is empty: at least one example is required")
    if len(set(lengths)) > 1:
        sizes = {name: jax.tree.leaves(value)[0].shape[0] for name, value in arrays.items()}
        raise ValueError(f"all entries of {what} need the same number of examples; got {sizes}")
    return arrays


def num_examples(arrays: PyTree[Any]) -> int:
    """Leading length of the arrays of a batch or a data set."""
    return jax.tree.leaves(arrays)[0].shape[0]


def _checked_array(value: Any, what: str) -> np.ndarray:
    if isinstance(value, str | bytes):
        raise TypeError(f"{what} must be an array of numbers; got {type(value).__name__}")
    try:
        array = np.asarray(value)
    except ValueError as error:  # nested lists whose lengths differ
        raise TypeError(f"{what} must be an array of numbers, of one shape: {error}") from error
    if array.dtype == object:
        raise TypeError(
            f"{what} must be an array of numbers; got dtype object. Bring the rows to one shape first."
        )
    if array.dtype.kind not in "biuf" and array.dtype.name != "bfloat16":
        raise TypeError(f"{what} must hold booleans, integers or floats; got dtype {array.dtype}")
    if array.ndim == 0:
        raise ValueError(f"{what} must have a leading axis of examples; got a single number")
    if array.dtype.kind in "iu" and array.dtype.itemsize > 2 and array.dtype != np.int32:
        return _as_int32(array, what)
    if array.dtype.kind not in "biu":
        _check_finite(array, what)
    if array.dtype == np.float64 or array.dtype.itemsize > 8:
        largest = np.finfo(np.float32).max
        if array.size and np.abs(array).max() > largest:
            raise ValueError(f"{what} must fit in float32 (at most {largest:.3g}); rescale the data")
        return array.astype(np.float32)
    return array


def _as_int32(array: np.ndarray, what: str) -> np.ndarray:
    limits = np.iinfo(np.int32)
    if array.size and (array.min() < limits.min or array.max() > limits.max):
        raise ValueError(f"{what} must fit in 32-bit integers; got {array.min()} to {array.max()}")
    return array.astype(np.int32)


def _check_finite(array: np.ndarray, what: str) -> None:
    flat = array.reshape(-1)
    for start in range(0, flat.size, _CHUNK):
        finite = np.isfinite(flat[start : start + _CHUNK])
        if not finite.all():
            position = start + int(np.argmin(finite))
            example = position // (flat.size // len(array))
            raise ValueError(
                f"{what} must be finite; example {example} holds {flat[position]}. "
                "Drop or repair such examples before training."
            )
