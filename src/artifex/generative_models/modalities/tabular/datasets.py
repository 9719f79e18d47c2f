"""Data sets of rows of numbers: read, check, split, and put together with their representation."""

import dataclasses
from functools import singledispatch
from pathlib import Path

import numpy as np
from jaxtyping import Float

from artifex.data import Dataset, DataSplits
from artifex.data.sources import read_npz, read_table
from artifex.data.splits import held_out_size, split_indices
from artifex.generative_models.core.configuration import (
    BSDS300Config,
    CSVTableConfig,
    TableConfig,
    TabularDataConfig,
    UCITableConfig,
)
from artifex.generative_models.modalities.tabular.representations import TableRows

_PRECISION = 1e-3  # of a column's standard deviation, to which float32 must hold its values


@dataclasses.dataclass(frozen=True, eq=False)
class StoredRows:
    """Rows as they are read, before splitting.

    Attributes:
        columns: names of the columns.
        train: rows that are for nothing else, or all.
        validation: those of the table's own validation part; None: there is none.
        test: those of the table's own test part; None: there is none.
    """

    columns: tuple[str, ...]
    train: Float[np.ndarray, "n d"]
    validation: Float[np.ndarray, "validation d"] | None = None
    test: Float[np.ndarray, "test d"] | None = None


def load_table(config: TabularDataConfig) -> DataSplits:
    """The rows that a config describes, split. Means and standard deviations are those of the training rows alone.

    Raises:
        FileNotFoundError: a file is missing; the message says where it was looked for.
        LookupError: there is no such column.
        ValueError: a file is damaged, a number is not finite, a column is constant or cannot be held in float32, or
            there are too few rows to be split.
    """
    stored = read_rows(config.dataset)
    train, validation, test = stored.train, stored.validation, stored.test
    if test is None:
        num_test = held_out_size(None, config.test_fraction, len(train), what="test")
        train, test = _split(train, num_test, config.split_seed, part=0)
    if validation is None:
        num_validation = held_out_size(None, config.validation_fraction, len(train), what="validation")
        train, validation = _split(train, num_validation, config.split_seed, part=1)
    mean, scale = train.mean(axis=0), train.std(axis=0)
    _check_columns(stored.columns, train, scale)
    if config.noise:
        rng, sizes = np.random.default_rng([config.split_seed, 2]), config.noise * scale
        train = train + sizes * rng.normal(size=train.shape)
        validation, test = (
            None if part is None else part + sizes * rng.normal(size=part.shape)
            for part in (validation, test)
        )
        mean, scale = train.mean(axis=0), train.std(axis=0)
    if not config.standardize:
        mean, scale = np.zeros_like(mean), np.ones_like(scale)
    representation = TableRows(stored.columns, tuple(mean.tolist()), tuple(scale.tolist()))
    return DataSplits(
        train=Dataset({"x": train}, representation),
        validation=None if validation is None else Dataset({"x": validation}, representation),
        test=None if test is None else Dataset({"x": test}, representation),
        representation=representation,
    )


@singledispatch
def read_rows(config: TableConfig) -> StoredRows:
    """Read what a config describes."""
    raise LookupError(f"no reader is registered for {type(config).__name__}; use @read_rows.register")


@read_rows.register
def _(config: CSVTableConfig) -> StoredRows:
    def read(file: str) -> tuple[tuple[str, ...], np.ndarray]:
        return read_table(file, header=config.header, columns=config.columns, delimiter=config.delimiter)

    columns, train = read(config.file)
    if config.test_file is None:
        return StoredRows(columns, train)
    test_columns, test = read(config.test_file)
    if test_columns != columns:
        raise ValueError(
            f"`test_file` must have the columns of `file`, {columns}; got {test_columns}. Name them in `columns`."
        )
    return StoredRows(columns, train, test=test)


@read_rows.register
def _(config: UCITableConfig) -> StoredRows:
    return StoredRows(*read_table(Path(config.folder) / f"uci_{config.name}.csv.gz", header=False))


@read_rows.register
def _(config: BSDS300Config) -> StoredRows:
    arrays = read_npz(config.file, ["train", "valid", "test"])
    rng = np.random.default_rng(config.seed)
    train, validation, test = (_patch_rows(arrays[name], rng) for name in ("train", "valid", "test"))
    names = tuple(f"pixel_{i}" for i in range(train.shape[1]))
    return StoredRows(names, train, validation, test)


def _patch_rows(levels: np.ndarray, rng: np.random.Generator) -> Float[np.ndarray, "n d"]:
    pixels = (levels + rng.uniform(size=levels.shape)) / 256
    return (pixels - pixels.mean(axis=1, keepdims=True))[:, :-1]


def _split(
    rows: Float[np.ndarray, "n d"], held_out: int, seed: int, *, part: int
) -> tuple[Float[np.ndarray, "m d"], Float[np.ndarray, "k d"] | None]:
    if held_out == 0:
        return rows, None
    kept, out = split_indices(len(rows), held_out, how="random", seed=seed, part=part)
    return rows[kept], rows[out]


def _check_columns(columns: tuple[str, ...], rows: np.ndarray, scale: np.ndarray) -> None:
    if not np.isfinite(rows).all():
        row, column = np.argwhere(~np.isfinite(rows))[0]
        raise ValueError(
            f"a table must be finite; training row {row} has {rows[row, column]} in column {columns[column]!r}. Drop "
            "or fill such rows."
        )
    constant = [name for name, value in zip(columns, scale, strict=True) if not value > 0]
    if constant:
        raise ValueError(
            f"columns {constant} are constant, so they have no density; leave them out with `columns`"
        )
    spacing = np.spacing(np.abs(rows).max(axis=0).astype(np.float32)) / scale
    coarse = [name for name, value in zip(columns, spacing, strict=True) if value > _PRECISION]
    if coarse:
        raise ValueError(
            f"columns {coarse} vary too little about their mean for float32 (to {_PRECISION} standard deviations); "
            "shift them towards 0 first"
        )
