"""Arrays from IDX files, the format in which MNIST was published.

Two zero bytes, a byte for the type, a byte for the number of axes, the lengths of the axes as big-endian 32-bit
integers, then the numbers, the last axis fastest.
"""

import gzip
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from artifex.data.sources.paths import find_data

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike) -> Shaped[np.ndarray, "..."]:
    """The array of an IDX file, plain or gzipped.

    Args:
        path: the file, looked for as `find_data` does.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no IDX file, or is cut short, or is longer than its header says.
    """
    file = find_data(path)
    content = _content(file)
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _TYPES or content[3] == 0:
        raise ValueError(f"{file} is no IDX file: it begins with {content[:4].hex(' ') or 'nothing'}")
    num_axes = content[3]
    start = 4 + 4 * num_axes
    if len(content) < start:
        raise ValueError(f"{file} is cut short: it ends inside its header, after {len(content)} bytes")
    shape = struct.unpack(f">{num_axes}I", content[4:start])
    dtype = np.dtype(_TYPES[content[2]])
    expected = math.prod(shape) * dtype.itemsize
    if len(content) - start != expected:
        problem = "is cut short" if len(content) - start < expected else "has too many bytes"
        raise ValueError(
            f"{file} {problem}: shape {shape} takes {expected} bytes after the header; got {len(content) - start}. "
            "Download it again."
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def _content(file: Path) -> bytes:
    content = file.read_bytes()
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{file} is a damaged gzip file: {error}. Download it again.") from error
