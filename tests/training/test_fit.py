"""The driver: what it accepts, logs, saves, resumes and refuses."""

import json
import os
import signal

import jax
import numpy as np
import pytest
from tests.training.toy import Location, LocationConfig, toy_data

from artifex.generative_models.core.configuration import (
    AdamConfig,
    ConstantScheduleConfig,
    MeshConfig,
    SGDConfig,
    TrainingConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.training import (
    Advanced,
    Ended,
    InterruptedTrainingError,
    Logged,
    NonFiniteError,
    Reached,
    Samples,
    Started,
    fit,
)
from artifex.generative_models.training.fit import _check_types

CONFIG = TrainingConfig(
    num_steps=40,
    batch_size=8,
    optimizer=AdamConfig(learning_rate=0.1),
    schedule=WarmupCosineScheduleConfig(warmup_fraction=0.125),
    ema_decay=0.9,
    log_every=10,
    steps_per_dispatch=5,
    mesh=MeshConfig(data=1),
)


@pytest.fixture
def model(key):
    return Location(LocationConfig(noise=0.3), key=key)


def run(model, data=None, config=CONFIG, **options):
    data = toy_data() if data is None else data
    return fit(model, data, config, key=jax.random.key(7), progress=False, **options)


def parameters(result):
    return (
        np.asarray(result.state.model.location),
        np.asarray(result.model.location),
        float(result.state.model.seen.value),
    )


def assert_same_bits(one, other):
    for a, b in zip(parameters(one), parameters(other), strict=True):
        np.testing.assert_array_equal(a, b)


class Interrupt:
    """Sends this process a signal at one step."""

    def __init__(self, step, number=signal.SIGINT):
        self.every = step
        self._number = number
        self._sent = False

    def __call__(self, run, event):
        if isinstance(event, Reached) and not self._sent:
            self._sent = True
            os.kill(os.getpid(), self._number)


class Record:
    """Keeps all events."""

    def __init__(self, every=None):
        self.every = every
        self.events = []

    def __call__(self, run, event):
        self.events.append(event)


def test_it_learns_and_leaves_the_model_alone(model):
    """The location comes near the mean of the data, and the caller's model can still be used."""
    before = np.asarray(model.location).copy()
    result = run(model, config=CONFIG.replace(num_steps=400))
    np.testing.assert_allclose(result.model.location, toy_data().mean(0), atol=0.15)
    np.testing.assert_array_equal(model.location, before)
    assert result.reason == "finished"
    assert result.num_traces == 1
    assert int(result.state.step) == 400
    assert float(result.state.model.seen.value) == 400 * 8
    losses = [record["loss"] for record in result.records]
    assert losses[-1] < losses[0]


def test_forms_of_data_agree(model):
    """An array, a JAX array and a mapping are the same data; a list of batches and streams train too."""
    x = toy_data()
    first = run(model, x)
    assert_same_bits(first, run(model, jax.numpy.asarray(x)))
    assert_same_bits(first, run(model, {"x": x}))
    batches = [x[i : i + 8] for i in range(0, 64, 8)]
    from_list = run(model, batches)
    assert_same_bits(from_list, run(model, [{"x": batch} for batch in batches]))
    np.testing.assert_allclose(from_list.model.location, first.model.location, atol=0.5)


def test_events_come_in_order(model):
    """Started, then calls of 5 steps, a log every 10, the callback's own every 20, then Ended."""
    record = Record(every=20)
    run(model, callbacks=[record])
    kinds = [type(event) for event in record.events]
    assert kinds[0] is Started
    assert kinds[-1] is Ended
    assert [event.step for event in record.events if isinstance(event, Advanced)] == list(range(5, 41, 5))
    assert [event.step for event in record.events if isinstance(event, Logged)] == [10, 20, 30, 40]
    assert [event.step for event in record.events if isinstance(event, Reached)] == [20, 40]


def test_periods_that_do_not_fit_share_one_program(model):
    """A callback every 4 steps and a log every 10: calls of 4 and 2 steps, traced once; the numbers do not change."""
    record = Record(every=4)
    result = run(model, callbacks=[record])
    steps = [event.step for event in record.events if isinstance(event, Advanced)]
    assert steps == [4, 8, 10, 12, 16, 20, 24, 28, 30, 32, 36, 40]
    assert result.num_traces == 1
    assert_same_bits(result, run(model))


@pytest.mark.parametrize("iterable", [False, True])
def test_a_last_call_of_fewer_steps_is_the_same_program(model, iterable):
    """23 steps as 5 + 5 + 5 + 4 + 4 and one by one: one trace, the same bits, and each step's loss counts once."""
    x = toy_data()
    data = [x[i : i + 8] for i in range(0, 64, 8)] if iterable else x
    config = CONFIG.replace(num_steps=23, log_every=23)
    record = Record()
    result = run(model, data, config=config, callbacks=[record])
    one_by_one = run(model, data, config=config.replace(steps_per_dispatch=1))
    steps = [event.step for event in record.events if isinstance(event, Advanced)]
    assert steps == [5, 10, 15, 19, 23]
    assert result.num_traces == one_by_one.num_traces == 1
    assert float(result.state.model.seen.value) == 23 * 8
    assert_same_bits(result, one_by_one)
    assert result.records[-1]["loss"] == pytest.approx(one_by_one.records[-1]["loss"], rel=1e-6)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("iterable", [False, True])
def test_interrupted_and_resumed_equals_unbroken(model, tmp_path, number, iterable):
    """A signal saves and stops; going on ends with the same bits, and the log has each step once."""
    x = toy_data()
    data = [x[i : i + 8] for i in range(0, 64, 8)] if iterable else x
    whole = run(model, data)
    with pytest.raises(InterruptedTrainingError) as error:
        run(model, data, run_dir=tmp_path, callbacks=[Interrupt(15, number)])
    assert error.value.step == 15
    assert error.value.signal == number
    record = Record()
    resumed = run(model, data, run_dir=tmp_path, callbacks=[record])
    assert record.events[0] == Started(15)
    assert_same_bits(whole, resumed)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 30, 40]
    assert list(tmp_path.glob("events.out.tfevents.*"))


def test_resume_takes_back_later_records(model, tmp_path):
    """Metrics written after the last checkpoint, by a run that was then killed, appear once."""
    run(model, config=CONFIG.replace(checkpoint_every=20), run_dir=tmp_path)
    newest = max((tmp_path / "checkpoints").iterdir(), key=lambda path: int(path.name))
    for path in sorted(newest.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    newest.rmdir()
    resumed = run(model, config=CONFIG.replace(checkpoint_every=20), run_dir=tmp_path)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [10, 20, 30, 40]
    assert_same_bits(resumed, run(model, config=CONFIG))


def test_a_finished_run_is_not_trained_again(model, tmp_path):
    """The second call returns the same parameters without a step."""
    first = run(model, run_dir=tmp_path)
    record = Record()
    again = run(model, run_dir=tmp_path, callbacks=[record])
    assert_same_bits(first, again)
    assert [event for event in record.events if isinstance(event, Advanced)] == []


def test_a_folder_of_another_config_is_refused(model, tmp_path):
    """The message names the first field that differs, and nothing in the folder changes."""
    run(model, run_dir=tmp_path)
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    with pytest.raises(
        ValueError, match=r"another config: `training\.optimizer\.kind` is 'adam' there and 'sgd'"
    ):
        run(model, config=CONFIG.replace(optimizer=SGDConfig()), run_dir=tmp_path)
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before


def test_a_truncated_checkpoint_is_passed_over(model, tmp_path):
    """The one before is used, a warning says so, and the end is the same."""
    config = CONFIG.replace(checkpoint_every=20)
    whole = run(model, config=config, run_dir=tmp_path)
    files = [path for path in (tmp_path / "checkpoints" / "40").rglob("*") if path.is_file()]
    largest = max(files, key=lambda path: path.stat().st_size)
    largest.write_bytes(largest.read_bytes()[:-1])
    record = Record()
    with pytest.warns(UserWarning, match="step 20 is used instead"):
        again = run(model, config=config, run_dir=tmp_path, callbacks=[record])
    assert record.events[0] == Started(20)
    assert_same_bits(whole, again)


def test_not_finite_stops_and_names_the_step(model):
    """The first update takes the location to 1e30, whose square overflows at step 1."""
    config = CONFIG.replace(
        optimizer=SGDConfig(learning_rate=1e30), schedule=ConstantScheduleConfig(), ema_decay=None
    )
    record = Record()
    with pytest.raises(NonFiniteError, match="at step 1 the loss is inf") as error:
        run(model, config=config, callbacks=[record])
    assert error.value.step == 1
    assert record.events[-1] == Ended(1, "failed")


def test_not_finite_can_be_skipped(model):
    """An exploding learning rate for one step would end the run; skipping goes on and counts."""
    config = CONFIG.replace(optimizer=SGDConfig(learning_rate=1e30), nonfinite="skip", ema_decay=None)
    result = run(model, config=config)
    assert sum(record["skipped"] for record in result.records) > 30
    assert np.isfinite(np.asarray(result.model.location)).all()


def test_without_validation_data_nothing_is_validated(model):
    """A preset's `validate_every` does no harm in a notebook; early stopping cannot do without the data."""
    result = run(model, config=CONFIG.replace(num_steps=20, validate_every=10))
    assert {record["split"] for record in result.records} == {"train"}
    with pytest.raises(ValueError, match="`early_stopping_patience` needs validation data"):
        run(model, config=CONFIG.replace(validate_every=10, early_stopping_patience=2))


def test_validation_and_early_stopping(model):
    """Held-out loss is logged at its period; without progress the run stops after the patience."""
    config = CONFIG.replace(
        num_steps=400,
        optimizer=SGDConfig(learning_rate=0.5),
        validate_every=10,
        early_stopping_patience=3,
        ema_decay=None,
    )
    result = run(
        model, config=config.replace(optimizer=SGDConfig(learning_rate=0.5)), validation=toy_data()[:20]
    )
    validation = [record for record in result.records if record["split"] == "validation"]
    assert "no validation loss below" in result.reason
    assert [record["step"] for record in validation] == list(range(10, 10 * len(validation) + 1, 10))
    losses = [record["loss"] for record in validation]
    assert losses.index(min(losses)) == len(losses) - 4
    expected = (
        0.5 * ((toy_data()[:20] - np.asarray(result.model.location)) ** 2).sum(1).mean() + 0.5 * 3 * 0.09
    )
    assert abs(losses[-1] - expected) < 0.3


def test_samples_callback(model):
    """The function gets samples of the averaged model at each period, from the same key."""
    got = {}
    callback = Samples(
        lambda x, step: got.update({step: np.asarray(x)}), every=20, n_samples=4, key=jax.random.key(1)
    )
    result = run(model, callbacks=[callback])
    assert sorted(got) == [20, 40]
    np.testing.assert_array_equal(got[40], result.model.generate(4, key=jax.random.key(1)))


def test_bad_arguments(model):
    """Errors before anything is compiled: batch larger than the data, devices that do not fit, no key."""
    with pytest.raises(ValueError, match="batch"):
        run(model, toy_data(4))
    with pytest.raises(ValueError, match="multiple of data"):
        run(model, config=CONFIG.replace(batch_size=10, mesh=MeshConfig(data=8)))
    with pytest.raises(TypeError, match="key"):
        fit(model, toy_data(), CONFIG, key=0)
    with pytest.raises(ValueError, match="shape"):
        run(model, np.zeros((64, 4), np.float32))
    with pytest.raises(ValueError, match="example 2 holds nan"):
        run(model, np.where(np.arange(64)[:, None] == 2, np.nan, toy_data()))
    with pytest.raises(ValueError, match="is empty"):
        run(model, toy_data()[:0])
    with pytest.raises(ValueError, match="a single number"):
        run(model, np.array(3.0))
    with pytest.raises(ValueError, match=r"'x' and maybe 'condition'; got the entries \['y'\]"):
        run(model, {"y": toy_data()})
    with pytest.raises(TypeError, match=r"must be a TrainingConfig, such as `experiment.training`; got dict"):
        _check_types(model, {"num_steps": 3})
    with pytest.raises(TypeError, match=r"got LocationConfig. `create_model\(config, key=key\)` makes"):
        run(model.config)


@pytest.mark.parametrize("as_stream", [False, True])
def test_labels_that_the_model_does_not_have(key, as_stream):
    """In jit a wrong label would be a condition of zeros, in silence."""
    model = Location(LocationConfig(num_classes=3), key=key)
    data = {"x": toy_data(), "condition": np.arange(64) % 4}
    if as_stream:
        data = [{name: array[i : i + 8] for name, array in data.items()} for i in range(0, 64, 8)]
    with pytest.raises(ValueError, match=r"\[0, 3\).*from 0 to 3"):
        run(model, data)
