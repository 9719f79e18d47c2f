"""Data sets of pictures: what is read, and splits that never overlap."""

import gzip
import struct

import jax
import numpy as np
import pytest

from artifex.data import StreamBatches, StreamedDataset
from artifex.data.sources import ArrayRows
from artifex.generative_models.core.configuration import (
    ConfigError,
    IDXImagesConfig,
    ImageDataConfig,
    ImageDatasetConfig,
    ImageFolderConfig,
    MNISTConfig,
    NpzImagesConfig,
)
from artifex.generative_models.core.configuration import config as config_class
from artifex.generative_models.modalities import load_data, load_representation
from artifex.generative_models.modalities.image import StoredImages, Symmetric, read_images


def parts(data):
    return [part for part in (data.train, data.validation, data.test) if part is not None]


def numbered(count, shape=(4, 4)):
    """Pictures that hold their own number in the first two pixels."""
    pictures = np.zeros((count, *shape), np.uint8)
    pictures[:, 0, 0], pictures[:, 0, 1] = np.arange(count) // 256, np.arange(count) % 256
    return pictures


def numbers(part):
    x = part.rows(np.arange(len(part)))["x"].astype(int)
    return x[:, 0, 0, 0] * 256 + x[:, 0, 0, 1]


def test_digits():
    """All 1797 pictures, 17 levels; the parts are those of scikit-learn, each picture once."""
    from sklearn.datasets import load_digits

    data = load_data("digits")
    assert [len(part) for part in parts(data)] == [1455, 162, 180]
    stored = np.concatenate([part.arrays["x"] for part in parts(data)])
    assert (stored.shape, stored.dtype, stored.max()) == ((1797, 1, 8, 8), np.uint8, 16)
    ours = np.sort(stored.reshape(1797, 64), axis=0)
    np.testing.assert_array_equal(ours, np.sort(load_digits().images.reshape(1797, 64), axis=0))
    assert data.representation.num_levels == 17
    assert load_representation("digits") == data.representation
    assert "condition" not in data.train.arrays


def test_levels_of_ones_own_data_set_are_read():
    """Only what says its levels by `num_levels.register` is not read for its representation."""

    @config_class("test_datasets_own")
    class Own(ImageDatasetConfig):
        """Pictures of 5 levels."""

    pictures = ArrayRows({"x": np.zeros((3, 1, 2, 2), np.uint8)})
    read_images.register(Own)(lambda config, conditional: StoredImages(pictures, None, 5))
    assert load_representation(ImageDataConfig(dataset=Own(), representation="symmetric")) == Symmetric(5)


def test_labels_become_conditions(key):
    """And stay with their pictures."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    label_of = {
        image.astype(np.uint8).tobytes(): label
        for image, label in zip(digits.images, digits.target, strict=True)
    }
    data = load_data(ImageDataConfig(conditional=True))
    for part in parts(data):
        expected = [label_of[image.tobytes()] for image in part.arrays["x"]]
        np.testing.assert_array_equal(part.arrays["condition"], expected)
    assert data.train.batch([0, 1], key=key)["condition"].dtype == "int32"


@pytest.mark.parametrize("split", ["random", "last"])
@pytest.mark.parametrize("official_test", [False, True])
def test_parts_are_disjoint_and_complete(tmp_path, split, official_test):
    np.savez(tmp_path / "a.npz", images=numbered(50), extra=numbered(300)[290:])
    dataset = NpzImagesConfig(file=str(tmp_path / "a.npz"), test_images="extra" if official_test else None)
    config = ImageDataConfig(dataset=dataset, split=split, validation_size=7, test_fraction=0.2)
    train, validation, test = (numbers(part).tolist() for part in parts(load_data(config)))
    assert (len(validation), len(test)) == (7, 10)
    assert len(train) + len(validation) == (50 if official_test else 40)
    assert sorted(train + validation + test) == [*range(50), *(range(290, 300) if official_test else ())]
    if split == "last":
        assert validation == list(range(43, 50)) if official_test else list(range(33, 40))
        assert official_test or test == list(range(40, 50))
    else:
        again, other = (numbers(load_data(config.replace(split_seed=s)).train).tolist() for s in (0, 1))
        assert train == again != other


def test_no_held_out_parts(tmp_path):
    np.savez(tmp_path / "a.npz", images=numbered(5))
    dataset = NpzImagesConfig(file=str(tmp_path / "a.npz"))
    data = load_data(ImageDataConfig(dataset=dataset, validation_fraction=0.0, test_fraction=0.0))
    assert (len(data.train), data.validation, data.test) == (5, None, None)
    with pytest.raises(ValueError, match=r"validation part must be smaller than the 4 examples.*got 4"):
        load_data(ImageDataConfig(dataset=dataset, validation_size=4))


@pytest.mark.parametrize("shape", [(6, 5, 4), (6, 3, 5, 4), (6, 5, 4, 3)])
def test_layouts_of_npz(tmp_path, shape):
    """Stored pictures are (channels, height, width), whatever the file has."""
    images = np.random.default_rng(0).integers(0, 8, shape).astype(np.int64)
    np.savez(tmp_path / "a.npz", images=images)
    channels = "last" if shape[-1] == 3 else "first"
    dataset = NpzImagesConfig(file=str(tmp_path / "a.npz"), channels=channels, num_levels=8)
    config = ImageDataConfig(dataset=dataset, validation_fraction=0.0, test_fraction=0.0)
    data = load_data(config)
    expected = (
        images[:, None] if images.ndim == 3 else np.moveaxis(images, -1, 1) if channels == "last" else images
    )
    np.testing.assert_array_equal(data.train.arrays["x"], expected.astype(np.uint8), strict=True)
    assert data.representation.num_levels == 8
    assert load_representation(config) == data.representation


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((4, 3, 3)), r"must be integers from 0 to 255; got float64. Convert them"),
        (np.full((4, 3, 3), 300), r"\[0, 255\]; got 300 to 300. Set `num_levels`"),
        (np.full((4, 3, 3), -1), r"got -1 to -1"),
        (np.zeros((4, 9), np.uint8), r"shape \(n, h, w\) or \(n, c, h, w\), not empty; got \(4, 9\)"),
        (np.zeros((0, 9, 9), np.uint8), "not empty"),
        (np.zeros((4, 9, 9, 3), np.uint8), r"at most 4 channels.*channels='last'"),
    ],
)
def test_bad_pictures(tmp_path, images, message):
    np.savez(tmp_path / "a.npz", images=images)
    with pytest.raises((ValueError, TypeError), match=message):
        load_data(ImageDataConfig(dataset=NpzImagesConfig(file=str(tmp_path / "a.npz"))))


def test_bad_labels(tmp_path):
    file = str(tmp_path / "a.npz")
    np.savez(file, images=numbered(4), few=np.arange(3), floats=np.ones(4))
    for labels, message in (
        ("few", "4 pictures and 3 labels"),
        ("floats", "must be integers from 0"),
        (None, "set `labels`"),
    ):
        with pytest.raises(ValueError, match=message):
            load_data(ImageDataConfig(dataset=NpzImagesConfig(file=file, labels=labels), conditional=True))


def test_idx(tmp_path, monkeypatch):
    """Gzipped files in ARTIFEX_DATA_DIR, with an official test part."""

    def write(name, array):
        header = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
        (tmp_path / name).write_bytes(gzip.compress(header + array.tobytes()))

    monkeypatch.setenv("ARTIFEX_DATA_DIR", str(tmp_path))
    write("train.gz", numbered(20))
    write("labels.gz", np.arange(20, dtype=np.uint8))
    write("test.gz", numbered(4))
    write("test-labels.gz", np.arange(4, dtype=np.uint8))
    dataset = IDXImagesConfig(
        images="train.gz", labels="labels.gz", test_images="test.gz", test_labels="test-labels.gz"
    )
    config = ImageDataConfig(dataset=dataset, conditional=True, validation_size=5)
    data = load_data(config)
    assert load_representation(config) == data.representation
    assert [len(part) for part in parts(data)] == [15, 5, 4]
    for part in parts(data):
        np.testing.assert_array_equal(part.arrays["condition"], numbers(part))


@pytest.fixture
def picture_folder(tmp_path):
    from PIL import Image

    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for i in range(6):
            pixels = np.full((4, 4, 3), i + 10 * (name == "b"), np.uint8)
            Image.fromarray(pixels).save(tmp_path / name / f"{i}.png")
    return tmp_path


def test_image_folder_in_memory_and_streamed(picture_folder, key):
    """Small folders are kept in memory, large ones are read as needed; both give the same."""
    config = ImageDataConfig(
        dataset=ImageFolderConfig(folder=str(picture_folder), image_size=4),
        conditional=True,
        validation_size=2,
    )
    kept = load_data(config)
    assert load_representation(config) == kept.representation
    streamed = load_data(config.replace(dataset=config.dataset.replace(memory_limit=0)))
    for a, b in zip(parts(kept), parts(streamed), strict=True):
        assert isinstance(b, StreamedDataset)
        x, y = (part.batch(range(len(a)), key=key) for part in (a, b))
        np.testing.assert_array_equal(x["x"], y["x"])
        np.testing.assert_array_equal(x["condition"], y["condition"])
    batches = streamed.train.batches(3, seed=0)
    assert isinstance(batches, StreamBatches)
    indices = kept.train.batches(3, seed=0).take(4)
    rows = jax.tree.map(lambda array: array[indices], kept.train.arrays)
    jax.tree.map(np.testing.assert_array_equal, batches.take(4), rows)


def test_corrupt_picture_stops_the_pipeline_with_its_name(picture_folder):
    """The error of the reading thread reaches the caller."""
    (picture_folder / "a" / "3.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    dataset = ImageFolderConfig(folder=str(picture_folder), image_size=4, memory_limit=0)
    data = load_data(ImageDataConfig(dataset=dataset, validation_fraction=0.0, test_fraction=0.0))
    with pytest.raises(ValueError, match=r"a/3\.png cannot be read as a picture"):
        data.train.batches(4, seed=0).take(3)
    with pytest.raises(ValueError, match=r"a/3\.png cannot be read"):
        load_data(ImageDataConfig(dataset=dataset.replace(memory_limit=10**9)))


def test_unknown_names(monkeypatch, tmp_path):
    with pytest.raises(
        LookupError, match=r"unknown data set 'digit'. Did you mean 'digits'\? Known: .*checkerboard, digits"
    ):
        load_data("digit")
    with pytest.raises(ConfigError, match=r"dataset.kind: .*Did you mean 'mnist'"):
        load_data({"kind": "image", "dataset": "mnst"})
    with pytest.raises(TypeError):
        load_data(3)
    monkeypatch.setenv("ARTIFEX_DATA_DIR", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=r"'mnist.npz'; looked at .*ARTIFEX_DATA_DIR"):
        load_data("mnist")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist"])
def test_mnist_and_fashion_mnist(name, data_dir, monkeypatch):
    """Official parts: 60,000 and 10,000 pictures, all classes in the test equally often (Fashion) or nearly."""
    if not (data_dir / f"{name}.npz").exists():
        pytest.skip(f"no {name}.npz in {data_dir}")
    monkeypatch.setenv("ARTIFEX_DATA_DIR", str(data_dir))
    data = load_data({"kind": "image", "dataset": name, "conditional": True})
    assert [len(part) for part in parts(data)] == [54_000, 6_000, 10_000]
    assert data.train.arrays["x"].shape[1:] == (1, 28, 28)
    counts = np.bincount(data.test.arrays["condition"], minlength=10)
    assert counts.min() >= 892 and counts.sum() == 10_000
    together = np.concatenate([data.train.arrays["condition"], data.validation.arrays["condition"]])
    assert np.bincount(together).min() >= 5421


def test_protocol_of_the_iwae_paper(data_dir, monkeypatch):
    """The last 400 training pictures are for validation."""
    if not (data_dir / "mnist.npz").exists():
        pytest.skip(f"no mnist.npz in {data_dir}")
    monkeypatch.setenv("ARTIFEX_DATA_DIR", str(data_dir))
    data = load_data(ImageDataConfig(dataset=MNISTConfig(), split="last", validation_size=400))
    images = np.load(data_dir / "mnist.npz")["train_images"]
    np.testing.assert_array_equal(data.train.arrays["x"][:, 0], images[:-400])
    np.testing.assert_array_equal(data.validation.arrays["x"][:, 0], images[-400:])
