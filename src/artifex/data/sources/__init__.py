"""Where examples are read from: arrays, npz and IDX files, tables, folders of pictures."""

from artifex.data.sources.arrays import ArrayRows, RowSource, RowSubset
from artifex.data.sources.idx import read_idx
from artifex.data.sources.image_folder import ImageFolder
from artifex.data.sources.npz import read_npz
from artifex.data.sources.paths import DATA_DIR_VARIABLE, find_data
from artifex.data.sources.table import read_table
