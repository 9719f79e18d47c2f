"""Files that are whole or absent."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path to write to, which takes the place of `path` when the block ends without an error.

    A reader sees the old file or the whole new one, never a part of it. An error leaves nothing behind.

        with atomic_path("samples.png") as temporary:
            temporary.write_bytes(png)

    Args:
        path: the file to make or replace; its folder is made where it is missing.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix stays last, since writers choose a format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
