"""Data sets in memory and from sources: what they give, and what they refuse."""

import jax
import numpy as np
import pytest

from artifex.data import Dataset, DataSplits, StreamedDataset, as_dataset
from artifex.data.sources import ArrayRows, RowSubset
from artifex.data.splits import held_out_size, split_indices
from artifex.generative_models.core.representations import Identity
from artifex.generative_models.modalities.image import DynamicBinarized

GREY = np.random.default_rng(0).integers(0, 256, (11, 1, 4, 4)).astype(np.uint8)


@pytest.mark.parametrize("kind", [Dataset, StreamedDataset])
def test_epoch_gives_every_example_once_in_order(kind, key):
    """Also the last, shorter batch."""
    arrays = {"x": np.arange(7.0), "condition": np.arange(7)}
    data = kind(arrays) if kind is Dataset else kind(ArrayRows(arrays))
    batches = list(data.epoch(3, key=key))
    assert [batch["x"].shape[0] for batch in batches] == [3, 3, 1]
    np.testing.assert_array_equal(np.concatenate([batch["x"] for batch in batches]), np.arange(7))
    np.testing.assert_array_equal(np.concatenate([batch["condition"] for batch in batches]), np.arange(7))


def test_noise_of_an_example_does_not_depend_on_its_batch(key):
    """Example `i` of the data set is encoded with `fold_in(key, i)`."""
    data = Dataset({"x": GREY}, DynamicBinarized(256))
    whole = np.concatenate([batch["x"] for batch in data.epoch(11, key=key)])
    parts = np.concatenate([batch["x"] for batch in data.epoch(4, key=key)])
    np.testing.assert_array_equal(whole, parts)
    np.testing.assert_array_equal(data.batch([7, 2], key=key)["x"], whole[[7, 2]])
    assert not np.array_equal(whole, data.batch(range(11), key=jax.random.key(1))["x"])


def test_training_noise_follows_the_key(key):
    """The same item prepared with another key is another draw; with the same key it is the same."""
    batches = Dataset({"x": GREY}, DynamicBinarized(256)).batches(4, seed=0)
    item = batches.take(1)[0]
    first, again = (batches.prepare(batches.resident, item, key=key)["x"] for _ in range(2))
    other = batches.prepare(batches.resident, item, key=jax.random.key(1))["x"]
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_examples_may_be_trees(key):
    """An example may hold several arrays, as a molecule with its mask does."""
    data = Dataset({"x": {"points": np.zeros((5, 4, 3)), "mask": np.ones((5, 4), bool)}})
    batch = data.batch([0, 3], key=key)["x"]
    assert (batch["points"].shape, batch["mask"].shape) == ((2, 4, 3), (2, 4))
    assert data.batches(2, seed=0).take(3).shape == (3, 2)


def test_identity_never_hands_out_small_integers():
    """8-bit arithmetic overflows in silence."""
    dtypes = {
        np.uint8: "int32",
        np.int64: "int32",
        bool: "float32",
        np.float64: "float32",
        np.float16: "float32",
    }
    for given, expected in dtypes.items():
        assert str(Identity().encode(Dataset(np.ones((2, 3), given)).arrays["x"]).dtype) == expected


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros((0, 2)), "data is empty"),
        (np.array([[1.0], [np.nan]]), r"data\['x'\] must be finite; example 1 holds nan"),
        (np.array([[np.inf], [1.0]]), "example 0 holds inf"),
        (np.array([[1.0], [1e300]]), "must fit in float32"),
        (np.array([2**40]), "must fit in 32-bit integers"),
        (np.array([[1], [2, 3]], object), "dtype object"),
        ({"x": [[1.0], [2.0, 3.0]]}, "of one shape"),
        (np.array(["a", "b"]), "booleans, integers or floats"),
        (np.ones(3, complex), "booleans, integers or floats"),
        (np.array(1.0), "leading axis"),
        ({"x": np.zeros((3, 2)), "condition": np.zeros(2)}, r"same number of examples; got .*'condition': 2"),
        ({"x": np.zeros((3, 2)), "label": np.zeros(3)}, r"'x' and maybe 'condition'; got .*'label'"),
        ({"y": np.zeros((3, 2))}, r"got the entries \['y'\]"),
        ({"x": None}, "got None"),
        ([1, 2, 3], "got list"),
        (None, "got NoneType"),
    ],
)
def test_bad_data(data, message):
    """Refused at once, with what is wrong and where."""
    with pytest.raises((ValueError, TypeError), match=message):
        as_dataset(data)


def test_as_dataset_takes_what_users_have():
    """A data set, a NumPy or JAX array, a mapping of them; an absent condition is none."""
    data = Dataset(np.zeros((3, 2)))
    assert as_dataset(data) is data
    assert len(as_dataset(jax.numpy.zeros((4, 2)))) == 4
    assert list(as_dataset({"x": np.zeros((3, 2)), "condition": None}).arrays) == ["x"]
    with pytest.raises(TypeError, match=r"splits\.train"):
        as_dataset(DataSplits(data, None, None, Identity()))


def test_bad_positions(key):
    data = Dataset(np.zeros((3, 2)))
    with pytest.raises(IndexError, match=r"\[0, 3\); got -1 to 0"):
        data.batch([0, -1], key=key)
    with pytest.raises(ValueError, match="empty"):
        data.batch([], key=key)


@pytest.mark.parametrize("how", ["random", "last"])
def test_splits_are_disjoint_and_complete(how):
    for total, held_out in ((10, 3), (101, 1), (7, 6), (5, 0)):
        kept, out = split_indices(total, held_out, how=how, seed=1)
        assert len(out) == held_out
        np.testing.assert_array_equal(np.sort(np.concatenate([kept, out])), np.arange(total))
    if how == "last":
        np.testing.assert_array_equal(split_indices(10, 3, how=how, seed=0)[1], [7, 8, 9])
    else:
        choices = {tuple(split_indices(50, 9, how=how, seed=s, part=p)[1]) for s in (0, 1) for p in (0, 1)}
        assert len(choices) == 4


def test_size_of_the_held_out_part():
    assert held_out_size(None, 0.1, 100, what="test") == 10
    assert held_out_size(None, 0.001, 100, what="test") == 1
    assert held_out_size(None, 0.0, 100, what="test") == 0
    assert held_out_size(7, 0.5, 100, what="test") == 7
    with pytest.raises(ValueError, match=r"smaller than the 5 examples.*got 5"):
        held_out_size(5, 0.0, 5, what="validation")


def test_subset_of_a_source():
    rows = RowSubset(ArrayRows({"x": np.arange(10)}), np.array([9, 4, 2]))
    assert len(rows) == 3
    np.testing.assert_array_equal(rows.rows(np.array([2, 0]))["x"], [2, 9])
