"""Checkpoints of a training run: whole or absent, verified, and readable on another number of devices.

    checkpoints/
      1200/                 a step; the folder takes this name by one renaming, when it is complete
        arrays/             what Orbax wrote
        extra.json          the rest: configs, position in the data
        manifest.json       names, shapes, sizes and checksums; written last, verified before anything is restored
      .1300.tmp/            a save under way, or the remains of one that was killed; the next save removes it

In a run of several processes every process calls the same methods; the folder must be one that all of them see.
"""

import errno
import json
import re
import shutil
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import jax
import numpy as np
from jaxtyping import PyTree

from artifex.generative_models.training.array_files import ArrayFiles, check_fits, describe_leaves
from artifex.generative_models.training.manifest import (
    DamagedCheckpointError,
    read_manifest,
    sync_folder,
    write_manifest,
)

ResultT = TypeVar("ResultT")

_ARRAYS, _EXTRA = "arrays", "extra.json"
_STEP = re.compile(r"(0|[1-9]\d*)|\.(\d+)\.replaced")
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class CheckpointError(OSError):
    """A checkpoint could not be written or read; the message says which, why, and what is left."""


class CheckpointWarning(UserWarning):
    """A checkpoint is damaged and an older one is used."""


class CheckpointStore:
    """The checkpoints in a folder."""

    def __init__(self, folder: str | Path, *, keep: int = 3):
        """A store in `folder`, which is made at the first save.

        Args:
            folder: where the checkpoints are.
            keep: how many of the newest stay.
        """
        if keep < 1:
            raise ValueError(f"`keep` must be at least 1; got {keep}")
        self.folder = Path(folder).absolute()
        self.keep = keep
        self._files = ArrayFiles()
        self._warned: set[int] = set()

    def steps(self) -> tuple[int, ...]:
        """Steps that have a checkpoint, rising. Their contents are not looked at."""
        return tuple(self._paths())

    def save(self, step: int, arrays: PyTree[Any], extra: Mapping[str, Any]) -> None:
        """Write a checkpoint and remove those that are too old. An existing one of the same step is replaced.

        A process that dies at any moment leaves the checkpoints as they were before or after the save.

        Args:
            step: training step, at least 0.
            arrays: a tree of arrays, as `eqx.filter(state, eqx.is_array)` gives; typed keys may be among them.
            extra: what JSON can hold.

        Raises:
            CheckpointError: the disk is full or the folder cannot be written; nothing half-written remains.
            TypeError: a leaf is not an array, or `extra` holds what JSON cannot.
        """
        if step < 0:
            raise ValueError(f"`step` must be at least 0; got {step}")
        leaves = describe_leaves(arrays)
        text = json.dumps(dict(extra), indent=1)
        temporary = self.folder / f".{step}.tmp"

        def finish() -> int:
            (temporary / _EXTRA).write_text(text, encoding="utf-8")
            write_manifest(temporary, step, leaves)
            self._publish(temporary, step)
            return step

        try:
            _on_first_process(lambda: self._prepare(temporary))
            self._files.write(temporary / _ARRAYS, arrays)
            _on_first_process(finish)
        except BaseException as error:
            if jax.process_index() == 0:
                shutil.rmtree(temporary, ignore_errors=True)
            if (reason := _write_failure(error)) is None:
                raise
            raise CheckpointError(self._not_written(step, reason, arrays)) from error
        self._warned.discard(step)
        _on_first_process(lambda: self._retire(step))

    def restore(
        self, like: PyTree[Any], *, step: int | None = None
    ) -> tuple[PyTree[Any], dict[str, Any], int]:
        """Read a checkpoint.

        Args:
            like: a tree of arrays or `jax.ShapeDtypeStruct`s with the structure of the one saved. Each array is
                placed as its counterpart here is, whatever the mesh at the time of saving.
            step: which one; None: the newest that is whole.

        Returns:
            Arrays in the structure of `like`, the `extra` that was saved with them, and the step.

        Warns:
            CheckpointWarning: the newest checkpoint is damaged and an older one is used.

        Raises:
            FileNotFoundError: there is no checkpoint, or none that is whole.
            CheckpointError: the checkpoint of `step` is damaged.
            ValueError: the checkpoint does not fit `like`; the message names the first array that differs.
        """

        def read(path: Path) -> tuple[PyTree[Any], dict[str, Any], int]:
            manifest = read_manifest(path, verify=False)
            check_fits(manifest.leaves, like, f"checkpoint {path}")
            arrays = self._files.read(path / _ARRAYS, manifest.leaves, like)
            return arrays, _read_extra(path), manifest.step

        return self._read(step, read)

    def extra(self, *, step: int | None = None) -> dict[str, Any]:
        """The `extra` of the checkpoint that `restore` would read; the same warning and errors."""
        return self._read(step, _read_extra)

    def _paths(self) -> dict[int, Path]:
        """The checkpoint of each step, rising."""
        entries = sorted(self.folder.iterdir()) if self.folder.is_dir() else []  # ".5.replaced" before "5"
        found: dict[int, Path] = {}
        for path in entries:
            if (match := _STEP.fullmatch(path.name)) and path.is_dir():
                found[int(match[1] or match[2])] = path
        return dict(sorted(found.items()))

    def _read(self, step: int | None, read: Callable[[Path], ResultT]) -> ResultT:
        """Read the checkpoint of one step, or the newest that is whole.

        A run that goes on meanwhile may remove a checkpoint while it is read; then it has a newer one.
        """
        while True:
            chosen = _on_first_process(lambda: self._newest_whole() if step is None else self._checked(step))
            path = self._paths().get(chosen, self.folder / str(chosen))
            try:
                return read(path)
            except (OSError, ValueError):
                if path.exists() or step is not None or jax.process_count() > 1:
                    raise

    def _checked(self, step: int) -> int:
        paths = self._paths()
        if step not in paths:
            there = ", ".join(map(str, paths)) or "none"
            raise FileNotFoundError(f"no checkpoint of step {step} in {self.folder}; there are: {there}")
        try:
            read_manifest(paths[step])
        except DamagedCheckpointError as error:
            raise CheckpointError(
                f"checkpoint {paths[step]} is damaged: {error}. Choose another step, or none for the newest whole one."
            ) from error
        return step

    def _newest_whole(self) -> int:
        paths = self._paths()
        damaged: dict[int, str] = {}
        for step in reversed(paths):
            try:
                read_manifest(paths[step])
            except DamagedCheckpointError as error:
                if not paths[step].exists():  # removed meanwhile, by a run that goes on
                    return self._newest_whole()
                damaged[step] = f"{paths[step]} is damaged ({error})"
                continue
            for bad in damaged.keys() - self._warned:
                warnings.warn(
                    f"checkpoint {damaged[bad]}; step {step} is used instead", CheckpointWarning, stacklevel=6
                )
            self._warned |= damaged.keys()
            return step
        if damaged:
            raise FileNotFoundError(f"no whole checkpoint in {self.folder}: {'; '.join(damaged.values())}")
        raise FileNotFoundError(f"no checkpoint in {self.folder}")

    def _prepare(self, temporary: Path) -> int:
        """Remove what killed processes left, and make room for a new checkpoint."""
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in self.folder.iterdir():
            left_over = re.fullmatch(r"\.(\d+)\.(tmp|removed|replaced)", path.name)
            if left_over and (left_over[2] != "replaced" or (self.folder / left_over[1]).exists()):
                shutil.rmtree(path)
        temporary.mkdir()
        return 0

    def _publish(self, temporary: Path, step: int) -> None:
        """Give a complete folder its name. Between two renamings the old one counts under its other name."""
        final, replaced = self.folder / str(step), self.folder / f".{step}.replaced"
        if final.exists():
            final.rename(replaced)
        temporary.rename(final)
        sync_folder(self.folder)
        if replaced.exists():
            shutil.rmtree(replaced)

    def _retire(self, saved: int) -> int:
        """Remove what is older than the newest `keep` whole ones; the one just saved is among them."""
        paths = {step: path for step, path in self._paths().items() if step <= saved}
        whole = [step for step, path in paths.items() if _looks_whole(path)]
        for step in paths.keys() - set(whole[-self.keep :]):
            # By a renaming first: a checkpoint is never seen half removed.
            removed = self.folder / f".{step}.removed"
            paths[step].rename(removed)
            shutil.rmtree(removed)
        return 0

    def _not_written(self, step: int, reason: str, arrays: PyTree[Any]) -> str:
        size = sum(leaf.nbytes for leaf in jax.tree.leaves(arrays)) / 1e6
        free = (
            shutil.disk_usage(next(p for p in (self.folder, *self.folder.parents) if p.exists())).free / 1e6
        )
        before = self.steps()
        rest = (
            f"The checkpoint of step {before[-1]} is intact." if before else "There is no earlier checkpoint."
        )
        return (
            f"checkpoint {step} could not be written to {self.folder}: {reason}. It needs about {size:.1f} MB, "
            f"{free:.1f} MB are free there. {rest} Free some space, or keep fewer checkpoints."
        )


def _looks_whole(path: Path) -> bool:
    try:
        read_manifest(path, verify=False)
    except DamagedCheckpointError:
        return False
    return True


def _read_extra(path: Path) -> dict[str, Any]:
    return json.loads((path / _EXTRA).read_text(encoding="utf-8"))


def _write_failure(error: BaseException) -> str | None:
    """Why a disk refused, or None for an error of another sort. TensorStore's errors are plain ValueErrors."""
    if isinstance(error, CheckpointError):
        return None
    if isinstance(error, OSError):
        return "the disk is full" if error.errno in _NO_SPACE else str(error)
    code = re.search(r"os_error_code='(\d+)'", str(error))
    if code is None:
        return None
    return "the disk is full" if int(code[1]) in _NO_SPACE else str(error)


def _on_first_process(action: Callable[[], int]) -> int:
    """Do something in the first process only; all get its result, or an error where it failed."""
    result, failure = -1, None
    if jax.process_index() == 0:
        try:
            result = action()
        except Exception as error:  # the others are told before it is raised
            failure = error
    if jax.process_count() > 1:
        from jax.experimental import multihost_utils

        result = int(multihost_utils.broadcast_one_to_all(np.asarray(result, np.int32)))
    if failure is not None:
        raise failure
    if result < 0:
        raise CheckpointError("the first process could not read or write a checkpoint; its error says why")
    return result
