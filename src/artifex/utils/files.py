"""Files that are whole or absent."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path


def check_can_write(path: str | os.PathLike, *, is_folder: bool = False) -> None:
    """Raise unless `path` can be made or replaced; changes nothing. For use before long work whose result goes there.

    Args:
        path: the file or folder; folders on the way to it may be missing.
        is_folder: which of both it will be.

    Raises:
        IsADirectoryError, NotADirectoryError: it, or one on the way to it, is a folder or a file and must not be.
        PermissionError: the folder that is there cannot be written to.
    """
    path = Path(path)
    if not is_folder and path.is_dir():
        raise IsADirectoryError(f"cannot write to {path}: it is a folder.")
    there = path if is_folder else path.parent
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise NotADirectoryError(f"cannot write to {path}: {there} is a file.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(f"cannot write to {path}: the folder {there.absolute()} does not allow it.")


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
    except OSError as error:
        if error.errno is None or error.filename is None or str(error.filename) != str(temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error  # the name that people know
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
