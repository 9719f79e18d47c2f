"""Data sets of pictures: read, check, split, and put together with their representation.

Stored pictures are integers of shape (channels, height, width).
"""

import dataclasses
from functools import singledispatch
from typing import Any

import numpy as np
from jaxtyping import Integer

from artifex.data import AbstractDataset, Dataset, DataSplits, StreamedDataset
from artifex.data.sources import ArrayRows, ImageFolder, RowSource, RowSubset, read_idx, read_npz
from artifex.data.splits import held_out_size, split_indices
from artifex.generative_models.core.configuration import (
    DigitsConfig,
    FashionMNISTConfig,
    IDXImagesConfig,
    ImageDataConfig,
    ImageDatasetConfig,
    ImageFolderConfig,
    MNISTConfig,
    NpzImagesConfig,
)
from artifex.generative_models.modalities.image.representations import (
    AbstractImageRepresentation,
    make_image_representation,
)


@dataclasses.dataclass(frozen=True, eq=False)
class StoredImages:
    """Pictures as they are read, before splitting.

    Attributes:
        train: those that are not for the test, or all.
        test: those of the data's own test part; None: there is none.
        num_levels: number of values of a pixel.
    """

    train: RowSource
    test: RowSource | None
    num_levels: int


def load_images(config: ImageDataConfig) -> DataSplits:
    """The pictures that a config describes, split.

    Raises:
        FileNotFoundError: a file is missing; the message says where it was looked for.
        ValueError: a file is damaged, or holds no pictures, or is too small to be split.
    """
    stored = read_images(config.dataset, config.conditional)
    representation = make_image_representation(config.representation, stored.num_levels)
    train, test = stored.train, stored.test
    if test is None:
        num_test = held_out_size(None, config.test_fraction, len(train), what="test")
        train, test = _split(train, num_test, config, part=0)
    num_validation = held_out_size(
        config.validation_size, config.validation_fraction, len(train), what="validation"
    )
    train, validation = _split(train, num_validation, config, part=1)
    return DataSplits(
        train=_dataset(train, representation),
        validation=None if validation is None else _dataset(validation, representation),
        test=None if test is None else _dataset(test, representation),
        representation=representation,
    )


def _split(
    source: RowSource, held_out: int, config: ImageDataConfig, *, part: int
) -> tuple[RowSource, RowSource | None]:
    if held_out == 0:
        return source, None
    kept, out = split_indices(len(source), held_out, how=config.split, seed=config.split_seed, part=part)
    return _subset(source, kept), _subset(source, out)


def _subset(source: RowSource, indices: np.ndarray) -> RowSource:
    return ArrayRows(source.rows(indices)) if isinstance(source, ArrayRows) else RowSubset(source, indices)


def _dataset(source: RowSource, representation: AbstractImageRepresentation) -> AbstractDataset:
    if isinstance(source, ArrayRows):
        return Dataset(source.arrays, representation)
    return StreamedDataset(source, representation)


def image_representation(config: ImageDataConfig) -> AbstractImageRepresentation:
    """How a model sees the pictures that a config describes. The library's own data sets are not read for it."""
    return make_image_representation(config.representation, num_levels(config.dataset))


@singledispatch
def num_levels(config: ImageDatasetConfig) -> int:
    """Number of values of a pixel. What is registered here need not be read to know it."""
    return read_images(config, False).num_levels


@num_levels.register
def _(config: DigitsConfig) -> int:
    return 17


@num_levels.register
def _(config: NpzImagesConfig) -> int:
    return config.num_levels


@num_levels.register
def _(config: MNISTConfig | FashionMNISTConfig | IDXImagesConfig | ImageFolderConfig) -> int:
    return 256


@singledispatch
def read_images(config: ImageDatasetConfig, conditional: bool) -> StoredImages:
    """Read what a config describes.

    Args:
        config: which pictures.
        conditional: whether to read class labels too.
    """
    raise LookupError(f"no reader is registered for {type(config).__name__}; use @read_images.register")


@read_images.register
def _(config: DigitsConfig, conditional: bool) -> StoredImages:
    from sklearn.datasets import load_digits

    digits: Any = load_digits()
    return StoredImages(_rows(digits.images.astype(np.uint8), digits.target, conditional, 17), None, 17)


@read_images.register
def _(config: MNISTConfig, conditional: bool) -> StoredImages:
    return _with_official_test(config.file, conditional)


@read_images.register
def _(config: FashionMNISTConfig, conditional: bool) -> StoredImages:
    return _with_official_test(config.file, conditional)


@read_images.register
def _(config: NpzImagesConfig, conditional: bool) -> StoredImages:
    _check_labels_given(config.labels, conditional, config.file)
    wanted = [config.images, config.labels, config.test_images, config.test_labels]
    arrays = read_npz(config.file, [name for name in wanted if name is not None])

    def rows(images: str, labels: str | None) -> ArrayRows:
        pixels = arrays[images]
        if config.channels == "last" and pixels.ndim == 4:
            pixels = np.ascontiguousarray(np.moveaxis(pixels, -1, 1))
        return _rows(pixels, None if labels is None else arrays[labels], conditional, config.num_levels)

    test = None if config.test_images is None else rows(config.test_images, config.test_labels)
    return StoredImages(rows(config.images, config.labels), test, config.num_levels)


@read_images.register
def _(config: IDXImagesConfig, conditional: bool) -> StoredImages:
    _check_labels_given(config.labels, conditional, config.images)

    def rows(images: str, labels: str | None) -> ArrayRows:
        return _rows(read_idx(images), None if labels is None else read_idx(labels), conditional, 256)

    test = None if config.test_images is None else rows(config.test_images, config.test_labels)
    return StoredImages(rows(config.images, config.labels), test, 256)


@read_images.register
def _(config: ImageFolderConfig, conditional: bool) -> StoredImages:
    folder = ImageFolder(
        config.folder, image_size=config.image_size, channels=config.channels, with_labels=conditional
    )
    if len(folder) * config.channels * config.image_size**2 > config.memory_limit:
        return StoredImages(folder, None, 256)
    return StoredImages(ArrayRows(folder.rows(np.arange(len(folder)))), None, 256)


def _with_official_test(file: str, conditional: bool) -> StoredImages:
    arrays = read_npz(file, ["train_images", "train_labels", "test_images", "test_labels"])
    train = _rows(arrays["train_images"], arrays["train_labels"], conditional, 256)
    return StoredImages(train, _rows(arrays["test_images"], arrays["test_labels"], conditional, 256), 256)


def _rows(images: np.ndarray, labels: np.ndarray | None, conditional: bool, num_levels: int) -> ArrayRows:
    rows = {"x": _checked_images(images, num_levels)}
    if labels is not None and len(labels) != len(images):
        raise ValueError(f"each picture needs one label; got {len(images)} pictures and {len(labels)} labels")
    if conditional and labels is not None:
        if labels.ndim != 1 or labels.dtype.kind not in "iu" or labels.min() < 0:
            raise ValueError(
                f"class labels must be integers from 0, shape (n,); got {labels.dtype} of shape {labels.shape}"
            )
        rows["condition"] = labels.astype(np.int32)
    return ArrayRows(rows)


def _checked_images(images: np.ndarray, num_levels: int) -> Integer[np.ndarray, "n c h w"]:
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        bad = int(np.argwhere(~np.isfinite(images))[0][0])
        raise ValueError(
            f"stored pictures must be finite; picture {bad} is not. Drop or repair such pictures."
        )
    if images.dtype.kind not in "iu":
        raise TypeError(
            f"stored pictures must be integers from 0 to {num_levels - 1}; got {images.dtype}. Convert them: "
            "(255 * x).round().astype('uint8') for numbers from 0 to 1."
        )
    if images.ndim not in (3, 4) or 0 in images.shape:
        raise ValueError(f"pictures must have shape (n, h, w) or (n, c, h, w), not empty; got {images.shape}")
    if images.min() < 0 or images.max() >= num_levels:
        raise ValueError(
            f"pixels must lie in [0, {num_levels - 1}]; got {images.min()} to {images.max()}. Set `num_levels`."
        )
    images = images if images.ndim == 4 else images[:, None]
    if images.shape[1] > 4:
        raise ValueError(
            f"pictures must have at most 4 channels, on the second axis; got shape {images.shape}. "
            "For (n, h, w, c) set channels='last'."
        )
    return images.astype(np.uint8 if num_levels <= 256 else np.int32)


def _check_labels_given(labels: str | None, conditional: bool, file: str) -> None:
    if conditional and labels is None:
        raise ValueError(f"`conditional` needs class labels: set `labels` of the data set in {file!r}")
