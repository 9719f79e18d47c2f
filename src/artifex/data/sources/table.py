"""Numbers from text files with columns."""

import gzip
import os
import zlib
from collections.abc import Sequence
from io import TextIOBase
from pathlib import Path

import numpy as np
from jaxtyping import Float

from artifex.data.sources.paths import find_data
from artifex.utils.messages import unknown_name


def read_table(
    path: str | os.PathLike,
    *,
    header: bool = True,
    columns: Sequence[str] | Sequence[int] | None = None,
    delimiter: str = ",",
) -> tuple[tuple[str, ...], Float[np.ndarray, "rows columns"]]:
    """Names and values of the columns of a text file, plain or gzipped.

    Args:
        path: the file, looked for as `find_data` does.
        header: whether the first line has the names; without it they are the numbers from 0.
        columns: which columns, by name, or by number from 0; None: all.
        delimiter: what stands between the columns.

    Raises:
        FileNotFoundError: there is no such file.
        LookupError: it has no such column; the message holds the nearest one.
        ValueError: a cell is no number, lines have different numbers of cells, or the file is empty or damaged.
    """
    file = find_data(path)
    try:
        with _opened(file) as stream:
            first = stream.readline()
            if not first.strip():
                raise ValueError("it has no first line")
            cells = [cell.strip().strip('"') for cell in first.rstrip("\r\n").split(delimiter)]
            names = tuple(cells) if header else tuple(str(i) for i in range(len(cells)))
            chosen = _chosen(names, columns, file)
            lines = [line for line in stream if line.strip()]
            if not header:
                lines.insert(0, first)
            if not lines:
                raise ValueError("it has no rows")
            values = np.loadtxt(lines, delimiter=delimiter, usecols=chosen, ndmin=2, dtype=np.float64)
    except (gzip.BadGzipFile, zlib.error, EOFError, UnicodeDecodeError, ValueError) as error:
        raise ValueError(
            f"{file} cannot be read as a table of numbers: {error}. Rows are lines, with cells between "
            f"{delimiter!r}; leave columns of words out with `columns`, and set `header` to whether the first line "
            "has names."
        ) from error
    return tuple(names[i] for i in chosen), values


def _opened(file: Path) -> TextIOBase:
    return gzip.open(file, "rt") if file.suffix == ".gz" else file.open("rt")


def _chosen(names: tuple[str, ...], columns: Sequence[str] | Sequence[int] | None, file: Path) -> list[int]:
    """Positions of columns."""
    if columns is None:
        return list(range(len(names)))
    positions = []
    for column in columns:
        if isinstance(column, str) and column not in names:
            raise LookupError(f"{file}: {unknown_name('column', column, names)}")
        if not isinstance(column, str) and not 0 <= column < len(names):
            raise LookupError(f"{file}: columns are numbered from 0 to {len(names) - 1}; got {column}")
        positions.append(names.index(column) if isinstance(column, str) else column)
    return positions
