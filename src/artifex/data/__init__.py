"""Data: sources, data sets and endless batches whose position can be saved and restored."""

from artifex.data.batches import AbstractBatches, ResidentBatches
from artifex.data.dataset import (
    AbstractDataset,
    Dataset,
    DataSplits,
    StreamedDataset,
    as_batches,
    as_dataset,
    without_conditions,
)
from artifex.data.draws import Draws
from artifex.data.iterables import IterableBatches
from artifex.data.stream import StreamBatches
