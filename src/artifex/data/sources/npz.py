"""Arrays from npz files."""

import os
import zipfile
import zlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import Shaped

from artifex.data.sources.paths import find_data
from artifex.utils.messages import unknown_name


def read_npz(path: str | os.PathLike, names: Sequence[str]) -> dict[str, Shaped[np.ndarray, "..."]]:
    """Named arrays of an npz file. Pickled objects are never loaded.

    Args:
        path: the file, looked for as `find_data` does.
        names: which arrays.

    Raises:
        FileNotFoundError: there is no such file.
        LookupError: the file has no array of such a name; the message holds the nearest one.
        ValueError: the file is damaged, or an array holds Python objects.
    """
    file = find_data(path)
    try:
        with file.open("rb") as stream:
            if not zipfile.is_zipfile(stream):
                stream.seek(0)
                is_array = stream.read(6) == b"\x93NUMPY"
                what = (
                    "it is a single array, not an npz archive"
                    if is_array
                    else "it is no zip archive, or is cut short"
                )
                raise ValueError(what)
            stream.seek(0)
            arrays = np.load(stream, allow_pickle=False)
            for name in names:
                if name not in arrays.files:
                    raise LookupError(f"{file}: {unknown_name('array', name, arrays.files)}")
            return {name: arrays[name] for name in names}
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError) as error:
        raise ValueError(
            f"{file} cannot be read as an npz file of plain arrays: {error}. Make it anew, with "
            "np.savez, or download it again."
        ) from error
