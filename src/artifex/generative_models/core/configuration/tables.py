"""Configs of tables of numbers."""

from typing import Any, Literal

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.data import DataConfig
from artifex.generative_models.core.configuration.fields import Fraction, NonNegativeFloat, NonNegativeInt


@config()
class TableConfig(Config):
    """A table of numbers, one example a row. A kind alone, such as "uci", is short for its config."""

    @classmethod
    def coerce(cls, value: Any) -> Any:
        """A string is taken for a kind."""
        return {"kind": value} if isinstance(value, str) else value


@config("csv")
class CSVTableConfig(TableConfig):
    """Columns of a text file, plain or gzipped.

    Attributes:
        file: the file; a relative path is looked for in the working folder and in ARTIFEX_DATA_DIR.
        test_file: another with the same columns, for the test; None: rows of `file` are held out.
        header: whether the first line has the names of the columns.
        columns: names of the columns that are taken, in this order, or their numbers from 0 where there is no header;
            None: all.
        delimiter: what stands between the columns.
    """

    file: str
    test_file: str | None = None
    header: bool = True
    columns: tuple[str, ...] | tuple[int, ...] | None = None
    delimiter: str = ","

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1:
            raise ValueError(f"`delimiter` must be one character; got {self.delimiter!r}")
        if self.columns is None:
            return
        if not self.columns or len(set(self.columns)) < len(self.columns):
            raise ValueError(f"`columns` must name at least one column, each once; got {self.columns}")
        if not self.header and any(isinstance(column, str) for column in self.columns):
            raise ValueError(f"without a header `columns` are numbers from 0; got {self.columns}")


@config("uci")
class UCITableConfig(TableConfig):
    """A table of the UCI repository, in the form of `treforevans/uci_datasets`: the target is the last column.

    Many columns of "keggdirected" and "parkinsons" repeat their values, so the density of these rows is not bounded:
    give `TabularDataConfig.noise`.

    Attributes:
        name: "protein" (45,730 rows of 10), "keggdirected" (48,827 of 21), "kin40k" (40,000 of 9) or "parkinsons"
            (5,875 of 21).
        folder: where `uci_<name>.csv.gz` lies; a relative path is looked for in the working folder and in
            ARTIFEX_DATA_DIR.
    """

    name: Literal["protein", "keggdirected", "kin40k", "parkinsons"] = "protein"
    folder: str = "."


@config("bsds300")
class BSDS300Config(TableConfig):
    """Grey 8x8 patches of natural images, as rows of 63 numbers (Uria et al. 2013; Papamakarios et al. 2017).

    A pixel is (level + uniform noise) / 256; from each patch its mean is taken away, and the last pixel, which then
    follows from the others, is left out. The parts for training, validation and test show other photographs.

    Attributes:
        file: npz file with the arrays train, valid and test, levels of shape (n, 64).
        seed: of the noise, which is drawn once.
    """

    file: str = "bsds300_patches8x8.npz"
    seed: NonNegativeInt = 0


@config("tabular")
class TabularDataConfig(DataConfig):
    """Rows of a table of numbers, split into parts that share none.

    Attributes:
        dataset: which table.
        standardize: whether a model sees each column with mean 0 and standard deviation 1, those of the training
            rows.
        noise: standard deviation of normal noise that is added to each column once, in standard deviations of the
            column. Where a value repeats, a density without it has no bound.
        validation_fraction: part of the training rows that is held out; 0: none. Not used where the table comes with
            such a part.
        test_fraction: part of all rows that is held out for the test, where the table comes without such a part.
        split_seed: of the choice of held-out rows, and of the noise.
    """

    dataset: TableConfig = UCITableConfig()
    standardize: bool = True
    noise: NonNegativeFloat = 0.0
    validation_fraction: Fraction = 0.1
    test_fraction: Fraction = 0.1
    split_seed: NonNegativeInt = 0
