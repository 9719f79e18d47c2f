"""Where examples are read from: arrays, npz and IDX files, folders of pictures."""

from artifex.data.sources.arrays import ArrayRows, RowSource
