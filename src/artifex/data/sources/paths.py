"""Where data files are looked for."""

import os
from pathlib import Path

DATA_DIR_VARIABLE = "ARTIFEX_DATA_DIR"


def find_data(path: str | os.PathLike, *, what: str = "file") -> Path:
    """An existing file or folder: an absolute path, or one relative to the working folder or ARTIFEX_DATA_DIR.

    Args:
        path: the path, as it stands in a config.
        what: `"file"` or `"folder"`: what it must be.

    Raises:
        FileNotFoundError: it is not there; the message says where it was looked for and what to set.
    """
    path = Path(path).expanduser()
    folder = os.environ.get(DATA_DIR_VARIABLE)
    candidates = [path if path.is_absolute() else Path.cwd() / path]
    if folder and not path.is_absolute():
        candidates.append(Path(folder).expanduser() / path)
    for candidate in candidates:
        if candidate.is_dir() if what == "folder" else candidate.is_file():
            return candidate
    places = " and ".join(str(candidate) for candidate in candidates)
    if path.is_absolute():
        fix = "check the path"
    elif folder:
        fix = f"put it there, or set {DATA_DIR_VARIABLE} to the folder that holds it"
    else:
        fix = f"set the environment variable {DATA_DIR_VARIABLE} to the folder that holds it"
    raise FileNotFoundError(f"no {what} {str(path)!r}; looked at {places}; {fix}")
