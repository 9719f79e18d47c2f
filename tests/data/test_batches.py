"""Training batches: every epoch a permutation, positions that restore exactly, parts of processes that fit together."""

import jax
import numpy as np
import pytest

from artifex.data import Dataset, IterableBatches, StreamBatches, as_batches
from artifex.data.sources import ArrayRows
from artifex.generative_models.core.representations import Identity

SIZE, BATCH = 23, 5
ARRAYS = {
    "x": np.arange(SIZE, dtype=np.float32)[:, None] * np.ones((1, 3), np.float32),
    "condition": np.arange(SIZE),
}


def resident(seed=0, shuffle=True):
    return Dataset(ARRAYS).batches(BATCH, seed=seed, shuffle=shuffle)


def stream(seed=0, shuffle=True, **options):
    return StreamBatches(
        ArrayRows(ARRAYS), Identity(), BATCH, seed=seed, shuffle=shuffle, num_threads=2, **options
    )


def iterable(seed=0, shuffle=True):
    order = np.random.default_rng(seed).permutation(SIZE)
    pieces = [order[start : start + BATCH] for start in range(0, SIZE, BATCH)]  # the last is shorter
    return as_batches(
        [{name: array[piece] for name, array in ARRAYS.items()} for piece in pieces], BATCH, seed=seed
    )


KINDS = {"resident": resident, "stream": stream, "iterable": iterable}


def examples(batches, num):
    """Which examples the next `num` batches hold, as the compiled step sees them, shape (num, batch)."""
    prepare = jax.jit(lambda resident, item, key: batches.prepare(resident, item, key=key))
    items, found = batches.take(num), []
    for i in range(num):
        batch = prepare(batches.resident, jax.tree.map(lambda leaf, i=i: leaf[i], items), jax.random.key(0))
        np.testing.assert_array_equal(np.asarray(batch["x"])[:, 0], batch["condition"])
        found.append(np.asarray(batch["condition"]))
    return np.stack(found)


@pytest.mark.parametrize("kind", ["resident", "stream"])
def test_an_epoch_visits_no_example_twice(kind):
    """The first batches of each epoch are distinct examples; epochs and seeds differ; unshuffled is in order."""
    per_epoch = SIZE // BATCH
    epochs = examples(KINDS[kind](), 4 * per_epoch).reshape(4, -1)
    for epoch in epochs:
        assert len(set(epoch.tolist())) == per_epoch * BATCH
    assert len({tuple(epoch) for epoch in epochs.tolist()}) == 4
    assert not np.array_equal(epochs[0], examples(KINDS[kind](seed=1), per_epoch).reshape(-1))
    plain = examples(KINDS[kind](shuffle=False), 2 * per_epoch).reshape(2, -1)
    np.testing.assert_array_equal(plain, np.tile(np.arange(per_epoch * BATCH), (2, 1)))


def test_batches_that_fill_the_epoch_hold_every_example():
    """Where the batch divides the data, an epoch is a permutation."""
    indices = Dataset(np.arange(20.0)).batches(4, seed=3).take(15)
    for epoch in indices.reshape(3, 20):
        np.testing.assert_array_equal(np.sort(epoch), np.arange(20))


def test_streamed_and_resident_batches_are_the_same():
    """So data that outgrow the device's memory train the same."""
    np.testing.assert_array_equal(examples(resident(), 9), examples(stream(), 9))
    streamed = Dataset(ARRAYS).batches(BATCH, seed=0, resident_bytes=0)
    assert isinstance(streamed, StreamBatches)


@pytest.mark.parametrize("kind", KINDS)
def test_restored_position_gives_the_same_batches(kind):
    """In a new object, after any number of batches, also across epochs, also from the JSON text of the state."""
    import json

    for before in (0, 3, 4, 11):
        whole = KINDS[kind]()
        if before:
            whole.take(before)
        state = json.loads(json.dumps(whole.state()))
        expected = examples(whole, 6)
        resumed = KINDS[kind]()
        resumed.take(2)
        resumed.restore(state)
        np.testing.assert_array_equal(examples(resumed, 6), expected)
        assert resumed.state() == whole.state()


@pytest.mark.parametrize("count", [1, 5])
def test_parts_of_processes_make_up_the_batch(count):
    """The rows of all processes, one after the other, are the batch of a run with one process."""
    parts = [stream(process_index=index, process_count=count) for index in range(count)]
    assert all(part.is_per_process for part in parts)
    together = np.concatenate([examples(part, 8) for part in parts], axis=1)
    np.testing.assert_array_equal(together, examples(resident(), 8))


def test_batch_must_divide_by_the_processes():
    with pytest.raises(ValueError, match=r"multiple of the number of processes, 2; got 5"):
        stream(process_index=0, process_count=2)


@pytest.mark.parametrize("make", [resident, stream])
def test_batch_larger_than_the_data(make):
    """The message holds the fix."""
    data = Dataset(np.zeros((3, 2)))
    with pytest.raises(
        ValueError, match=r"at most the number of examples, 3; got 4. Set batch_size=3 or less"
    ):
        data.batches(4, seed=0, resident_bytes=0 if make is stream else 2**20)


def test_position_of_other_data_is_refused():
    """A position means something only for the same size, batch size, seed and order."""
    state = resident().state()
    with pytest.raises(ValueError, match=r"seed=0, but here seed=1"):
        resident(seed=1).restore(state)
    with pytest.raises(ValueError, match=r"batch_size=5, but here batch_size=4"):
        stream_of_four = StreamBatches(ArrayRows(ARRAYS), Identity(), 4, seed=0)
        stream_of_four.restore(state)


def test_generator_that_ends_says_how_many_batches_it_gave():
    """A generator cannot be iterated again."""
    batches = as_batches((np.ones((2, 1)) for _ in range(3)), 2, seed=0)
    batches.take(3)
    with pytest.raises(ValueError, match=r"ended after 3 batches.*function that makes the generator"):
        batches.take(1)


def test_function_that_makes_a_generator_goes_on():
    """Each pass calls it anew."""
    batches = as_batches(lambda: (np.full((2, 1), i, np.float32) for i in range(3)), 2, seed=0)
    np.testing.assert_array_equal(batches.take(7)["x"][:, 0, 0], [0, 1, 2, 0, 1, 2, 0])


def test_iterator_cannot_go_back():
    batches = as_batches(iter([np.ones((2, 1))] * 4), 2, seed=0)
    start = batches.state()
    batches.take(2)
    with pytest.raises(ValueError, match=r"has given 2 batches already, so batch 0 cannot be reached"):
        batches.restore(start)


@pytest.mark.parametrize(
    ("batches", "message"),
    [
        ([], "gave no batch"),
        ([np.ones((3, 1))], r"hold 3 examples; set `batch_size`"),
        ([np.ones((5, 1))], r"must hold 4 examples.*got one of 5"),
        ([np.ones((3, 1)), np.ones((4, 1))], r"must hold 4 examples.*got one of 3"),
        ([np.array([[1.0]] * 3 + [[np.nan]])], r"batch 0\['x'\] must be finite; example 3 holds nan"),
        ([(np.ones((4, 1)), np.ones(4))], r"batch 0 is a tuple of arrays.*give a mapping"),
    ],
)
def test_bad_batches_of_an_iterable(batches, message):
    with pytest.raises((ValueError, TypeError), match=message):
        IterableBatches(batches, Identity(), 4).take(1)


def test_batches_given_as_they_are():
    """`as_batches` passes batches on, if they have the size that is asked for."""
    batches = resident()
    assert as_batches(batches, BATCH, seed=7) is batches
    with pytest.raises(ValueError, match="hold 5 examples"):
        as_batches(batches, BATCH + 1, seed=7)
    with pytest.raises(TypeError, match="got int"):
        as_batches(3, 2, seed=0)
    with pytest.raises(TypeError, match="got str"):
        as_batches("digits", 2, seed=0)
