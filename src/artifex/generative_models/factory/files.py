"""Models on disk: one safetensors file with the arrays by name, and the config in its metadata.

Nothing is pickled, so a file from a stranger can do no harm. Any program that reads safetensors can read it.
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from artifex.generative_models.core.configuration import ConfigError, ModelConfig, from_json, to_json
from artifex.generative_models.core.paths import named_leaves
from artifex.generative_models.factory.create import create_model
from artifex.utils.files import atomic_path
from artifex.utils.messages import nearest_name

_FORMAT = "artifex-model-1"


class ModelFileError(ValueError):
    """A file does not hold a model of this library; the message names the file and what is wrong with it."""


def save_model(path: str | os.PathLike, model: Any) -> None:
    """Write a model, buffers included, to a safetensors file. The file is replaced whole or not at all.

    In a run of several processes all of them call this; the first one writes.

    Args:
        path: the file, usually `*.safetensors`; its folder is made where it is missing.
        model: a model that `create_model` can build from its `config`.

    Raises:
        TypeError: the model has no config, or holds random keys.
        OSError: the file cannot be written, for example because the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    config = getattr(model, "config", None)
    if not isinstance(config, ModelConfig):
        raise TypeError(f"only a model with a `config` can be saved; got {type(model).__name__}")
    arrays = {name: leaf for name, leaf in named_leaves(model).items() if _is_array(leaf)}
    for name, leaf in arrays.items():
        if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            raise TypeError(
                f"a model file holds no random keys; got one at `{name}`. Models never store keys."
            )
    tensors = {name: _on_host(leaf) for name, leaf in arrays.items()}
    if jax.process_index() != 0:
        return
    metadata = {"format": _FORMAT, "config": to_json(config)}
    with atomic_path(path) as temporary:
        try:
            save_file(tensors, temporary, metadata=metadata)
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        except (OSError, SafetensorError) as error:
            size = sum(tensor.nbytes for tensor in tensors.values()) / 1e6
            raise OSError(f"the model ({size:.1f} MB) could not be written to {path}: {error}") from error


def load_model(path: str | os.PathLike) -> Any:
    """Read a model that `save_model` wrote. The class is chosen by the config in the file, as in `create_model`.

    Args:
        path: the file.

    Returns:
        The model, on the default device. Its arrays have the types that the file has.

    Raises:
        FileNotFoundError: there is no such file.
        ModelFileError: it is not a whole safetensors file, was not written by `save_model`, or its arrays are
            not those of the model that its config describes.
        ConfigError: the config in it is not valid, for example of a kind that is not registered.
    """
    from safetensors import SafetensorError, safe_open

    path = Path(path)
    if not path.is_file():
        what = "it is a folder" if path.is_dir() else "no such file"
        raise FileNotFoundError(f"no model file at {path}: {what}")
    try:
        with safe_open(path, framework="numpy") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  no mapping
    except SafetensorError as error:
        raise ModelFileError(
            f"{path} is not a whole safetensors file: {error}. Copy or save the model again."
        ) from error
    config = _config_in(metadata, path)
    any_key = jax.eval_shape(jax.random.key, 0)  # nothing random is computed: the file has the values
    structure = eqx.filter_eval_shape(lambda key: create_model(config, key=key), any_key)
    wanted = {name: leaf for name, leaf in named_leaves(structure).items() if _is_struct(leaf)}
    _check_names(wanted, tensors, path)
    filled = {name: _checked(name, leaf, tensors[name], path) for name, leaf in wanted.items()}
    leaves = [filled.get(name, leaf) for name, leaf in named_leaves(structure).items()]
    return jax.tree.unflatten(jax.tree.structure(structure), leaves)


def _is_array(leaf: Any) -> bool:
    return isinstance(leaf, jax.Array | np.ndarray)


def _is_struct(leaf: Any) -> bool:
    return isinstance(leaf, jax.ShapeDtypeStruct)


def _on_host(leaf: Any) -> np.ndarray:
    if isinstance(leaf, jax.Array) and not leaf.is_fully_addressable:
        from jax.experimental import multihost_utils

        return np.asarray(multihost_utils.process_allgather(leaf, tiled=True))
    return np.asarray(leaf)


def _config_in(metadata: Mapping[str, str], path: Path) -> ModelConfig:
    if "config" not in metadata or not metadata.get("format", "").startswith("artifex-model"):
        entries = ", ".join(metadata) or "nothing"
        raise ModelFileError(
            f"{path} was not written by `save_model`: its metadata needs `format` and `config`; got {entries}"
        )
    if metadata["format"] != _FORMAT:
        raise ModelFileError(
            f"{path} has the format {metadata['format']!r}; this version reads {_FORMAT!r}. Update artifex."
        )
    try:
        return from_json(ModelConfig, metadata["config"])
    except ConfigError as error:
        raise ConfigError(f"in {path}: {error}") from None


def _check_names(wanted: Mapping[str, Any], tensors: Mapping[str, Any], path: Path) -> None:
    missing = [name for name in wanted if name not in tensors]
    unknown = [name for name in tensors if name not in wanted]
    if not missing and not unknown:
        return
    listing = {"lacks": missing, "has in addition": unknown}
    details = "; ".join(
        f"it {verb} {', '.join(f'`{name}`' for name in names[:5])}"
        + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        for verb, names in listing.items()
        if names
    )
    # The nearest name on the other side: a renamed field is the usual cause.
    name, others = (missing[0], unknown or tensors) if missing else (unknown[0], wanted)
    nearest = nearest_name(name, others)
    hint = f" Nearest to `{name}` is `{nearest}`." if nearest else ""
    raise ModelFileError(f"{path} does not fit the model of its config: {details}.{hint}")


def _checked(name: str, leaf: jax.ShapeDtypeStruct, tensor: np.ndarray, path: Path) -> jax.Array:
    if tensor.shape != leaf.shape:
        raise ModelFileError(
            f"{path} does not fit the model of its config: `{name}` must have shape {leaf.shape} "
            f"({math.prod(leaf.shape)} entries); got {tensor.shape}"
        )
    kinds = (jnp.floating, jnp.complexfloating, jnp.integer, jnp.bool_)
    # A model may have been cast to a shorter type of the same kind before it was saved.
    if not any(jnp.issubdtype(tensor.dtype, kind) and jnp.issubdtype(leaf.dtype, kind) for kind in kinds):
        raise ModelFileError(
            f"{path} does not fit the model of its config: `{name}` must be {leaf.dtype} or alike; "
            f"got {tensor.dtype}"
        )
    return jnp.asarray(tensor)
