"""Trees of arrays on disk, by Orbax: each process writes its own shards, and any other mesh can read them back.

An array is stored under its path in the tree, so no pickled structure is needed. Typed keys are stored as their
words. Arrays without entries, which Orbax refuses, are made anew from the manifest's shape.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import quote

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from artifex.generative_models.core.paths import named_leaves


def describe_leaves(tree: PyTree[Any]) -> dict[str, dict[str, Any]]:
    """Shape and type of each array of a tree, by path, as a manifest lists them.

    Raises:
        TypeError: a leaf is not an array.
    """
    return {name: _describe(name, leaf) for name, leaf in named_leaves(tree).items()}


def check_fits(saved: Mapping[str, Mapping[str, Any]], like: PyTree[Any], where: str) -> None:
    """Raise unless a checkpoint holds arrays of the same paths, shapes and types as `like`.

    Raises:
        ValueError: the message names the first array that differs.
    """
    wanted = describe_leaves(like)
    for name in [*wanted, *saved]:
        there, here = saved.get(name), wanted.get(name)
        if there is None or here is None:
            reason = "is not in it" if there is None else "is in it, but not in the state to restore"
        elif (there["shape"], there["dtype"]) != (here["shape"], here["dtype"]):
            reason = (
                f"is {there['dtype']} of shape {tuple(there['shape'])} there, but {here['dtype']} of shape "
                f"{tuple(here['shape'])} in the state to restore"
            )
        else:
            continue
        raise ValueError(
            f"{where} does not fit: `{name}` {reason}. Restore with the model and optimizer config that it was "
            "saved with."
        )


class ArrayFiles:
    """Writes and reads the arrays of one tree to a folder; in a run of several processes all of them call it."""

    def __init__(self) -> None:
        self._made: Any = None

    def write(self, folder: Path, tree: PyTree[Any]) -> None:
        """Write all arrays to a folder that does not exist yet."""
        items = {_file_key(name): _storable(leaf) for name, leaf in named_leaves(tree).items() if leaf.size}
        if items:
            with _quiet():
                self._checkpointer.save(folder, args=_orbax().args.PyTreeSave(items))

    def read(self, folder: Path, saved: Mapping[str, Mapping[str, Any]], like: PyTree[Any]) -> PyTree[Any]:
        """Read arrays back, each onto the devices of its counterpart in `like`; NumPy arrays stay such.

        Args:
            folder: where `write` put them.
            saved: what the manifest says of each array.
            like: arrays or `jax.ShapeDtypeStruct`s, with shardings; where there is none, on the default device.
        """
        leaves = named_leaves(like)
        stored = {_file_key(name): leaf for name, leaf in leaves.items() if leaf.size}
        items: dict[str, Any] = {}
        if stored:
            args = _orbax().args.PyTreeRestore(
                dict.fromkeys(stored, 0), restore_args={k: _restore_args(v) for k, v in stored.items()}
            )
            with _quiet():
                items = self._checkpointer.restore(folder, args=args)
        restored = [
            _restored(items[_file_key(name)] if leaf.size else None, leaf, saved[name])
            for name, leaf in leaves.items()
        ]
        return jax.tree.unflatten(jax.tree.structure(like), restored)

    @property
    def _checkpointer(self) -> Any:
        if self._made is None:
            orbax = _orbax()
            self._made = orbax.Checkpointer(orbax.PyTreeCheckpointHandler())
        return self._made


def _orbax() -> ModuleType:
    import orbax.checkpoint  # takes a second to load

    return orbax.checkpoint


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Orbax and its threads log each exception, some after the failure is over; the caller gets it anyway, once."""
    loggers = [logging.getLogger(name) for name in ("absl", "asyncio", "concurrent.futures")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    except BaseException:
        for logger in loggers:
            logger.addFilter(_is_news)
        raise
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _is_news(record: logging.LogRecord) -> bool:
    """Whether a log record is more than an echo of a failed write: a full disk, and reports to the loop it closed."""
    error = record.exc_info[1] if record.exc_info else None
    is_echo = any(text in str(error) for text in ("os_error_code", "OCDBT", "Event loop is closed"))
    return not (isinstance(error, OSError) or is_echo)


def _describe(name: str, leaf: Any) -> dict[str, Any]:
    if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
        raise TypeError(
            f"a checkpoint holds arrays only; got {leaf!r} at `{name}`. Pass `eqx.filter(tree, eqx.is_array)`."
        )
    description: dict[str, Any] = {"shape": list(leaf.shape), "dtype": str(leaf.dtype)}
    if _is_key(leaf) and isinstance(leaf, jax.Array):
        description["impl"] = str(jax.random.key_impl(leaf))
    return description


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _file_key(name: str) -> str:
    return quote(name, safe="") or "_"  # the path of a tree that is a single array is empty


def _storable(leaf: Any) -> Any:
    return jax.random.key_data(leaf) if _is_key(leaf) else leaf


def _sharding(leaf: Any) -> jax.sharding.Sharding:
    found = getattr(leaf, "sharding", None)
    return jax.sharding.SingleDeviceSharding(jax.devices()[0]) if found is None else found


def _restore_args(leaf: Any) -> Any:
    orbax = _orbax()
    if isinstance(leaf, np.ndarray | np.generic):
        return orbax.RestoreArgs(restore_type=np.ndarray)
    words = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
    return orbax.ArrayRestoreArgs(sharding=_sharding(leaf), global_shape=words.shape, dtype=words.dtype)


def _restored(item: Any, leaf: Any, saved: Mapping[str, Any]) -> Any:
    if item is None:
        return jax.device_put(jnp.zeros(leaf.shape, leaf.dtype), _sharding(leaf))
    return jax.random.wrap_key_data(item, impl=saved["impl"]) if _is_key(leaf) else item
