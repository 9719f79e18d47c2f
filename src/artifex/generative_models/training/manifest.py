"""The manifest of a checkpoint: what it holds, and sizes and checksums by which damage is noticed.

It is the last file that is written, so a folder without one is not a checkpoint. Checksums find damage by disks,
copies and crashes; they are no protection against somebody who forges files.
"""

import dataclasses
import json
import os
import zlib
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
_CHUNK = 1 << 22


class DamagedCheckpointError(OSError):
    """Files of a checkpoint are missing, cut short or changed."""


@dataclasses.dataclass(frozen=True)
class Manifest:
    """What a checkpoint holds.

    Attributes:
        step: training step.
        leaves: for each array, by its path in the tree: `shape`, `dtype`, and for keys the generator `impl`.
        files: for each file, by its path in the folder: `size` in bytes and `crc32`.
    """

    step: int
    leaves: dict[str, dict[str, Any]]
    files: dict[str, dict[str, int]]


def write_manifest(folder: Path, step: int, leaves: dict[str, dict[str, Any]]) -> None:
    """List all files of a folder, force them onto the disk, and write the manifest beside them."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    files = {path.relative_to(folder).as_posix(): _measure(path, sync=True) for path in paths}
    content = {"step": step, "leaves": leaves, "files": files}
    with (folder / MANIFEST).open("w", encoding="utf-8") as file:
        json.dump({**content, "crc32": _checksum(content)}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    for directory in [folder, *(path for path in folder.rglob("*") if path.is_dir())]:
        sync_folder(directory)


def read_manifest(folder: Path, *, verify: bool = True) -> Manifest:
    """The manifest of a checkpoint, after a look at the files that it lists.

    Args:
        folder: the checkpoint.
        verify: whether to compare contents; otherwise only sizes are.

    Raises:
        DamagedCheckpointError: the manifest or a file is missing, cut short or changed; the message says which.
    """
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        checksum = content.pop("crc32")
        manifest = Manifest(**content)
    except FileNotFoundError:
        raise DamagedCheckpointError(f"{MANIFEST} is missing") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise DamagedCheckpointError(f"{MANIFEST} is cut short or changed") from None
    if checksum != _checksum(content):
        raise DamagedCheckpointError(f"{MANIFEST} has changed since it was written")
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            raise DamagedCheckpointError(f"{name} is missing")
        if (size := path.stat().st_size) != expected["size"]:
            raise DamagedCheckpointError(f"{name} has {size} bytes, {expected['size']} were written")
        if verify and _measure(path) != expected:
            raise DamagedCheckpointError(f"{name} has changed since it was written")
    return manifest


def sync_folder(folder: Path) -> None:
    """Force the names in a folder onto the disk, so that a renaming outlives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _measure(path: Path, *, sync: bool = False) -> dict[str, int]:
    size, crc32 = 0, 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            crc32 = zlib.crc32(chunk, crc32)
        if sync:
            os.fsync(file.fileno())
    return {"size": size, "crc32": crc32}


def _checksum(content: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(content, sort_keys=True).encode())
