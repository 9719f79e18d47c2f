"""Checkpoints: exact, resharded, verified, and whole or absent whatever happens to the process or the disk."""

import contextlib
import gc
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import SingleDeviceSharding

from artifex.generative_models.core.configuration import MeshConfig
from artifex.generative_models.core.paths import named_leaves
from artifex.generative_models.scaling import make_mesh, tree_shardings
from artifex.generative_models.training.checkpointing import (
    CheckpointError,
    CheckpointStore,
    CheckpointWarning,
)


def content(leaf):
    if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
        leaf = jax.random.key_data(leaf)
    return np.asarray(leaf)


def assert_same(got, expected):
    assert jax.tree.structure(got) == jax.tree.structure(expected)
    for (name, a), b in zip(named_leaves(got).items(), jax.tree.leaves(expected), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype), name
        np.testing.assert_array_equal(content(a), content(b), err_msg=name)


def state_like_training(key, width=32):
    model = eqx.nn.MLP(4, 2, width, 2, key=key)
    trainable = eqx.filter(model, eqx.is_inexact_array)
    return {
        "model": trainable,
        "opt_state": optax.adamw(1e-3).init(trainable),
        "step": jnp.asarray(7),
        "key": jax.random.split(key, 3),
    }


def test_every_type_of_array_comes_back_exactly(key, tmp_path):
    tree = {
        "bfloat16": jax.random.normal(key, (3, 5), jnp.bfloat16),
        "float16": jnp.arange(4, dtype=jnp.float16),
        "int8": jnp.arange(-3, 3, dtype=jnp.int8),
        "bool": jnp.array([True, False]),
        "complex": jnp.array([1 + 2j], jnp.complex64),
        "nan": jnp.array([jnp.nan, -0.0, jnp.inf]),
        "no entries": jnp.zeros((3, 0), jnp.bfloat16),
        "scalar": jnp.float32(3.5),
        "numpy": np.arange(3, dtype=np.int64),
        "keys": jax.random.split(key, (2, 3)),
        "rbg": jax.random.key(5, impl="rbg"),
        "odd/name.%": jnp.ones(2),
    }
    store = CheckpointStore(tmp_path / "store")
    store.save(3, tree, {"batches": {"next": 17}})
    got, extra, step = store.restore(tree)
    assert (extra, step) == ({"batches": {"next": 17}}, 3)
    assert_same(got, tree)
    assert isinstance(got["numpy"], np.ndarray)
    draw = jax.random.normal(got["rbg"], (4,))
    np.testing.assert_array_equal(draw, jax.random.normal(tree["rbg"], (4,)))


def test_a_single_array_is_a_tree_too(tmp_path):
    store = CheckpointStore(tmp_path)
    store.save(0, jnp.arange(3.0), {})
    assert_same(store.restore(jnp.zeros(3))[0], jnp.arange(3.0))


def test_a_sharded_state_restores_onto_another_mesh(key, tmp_path):
    state = state_like_training(key, width=64)
    saved_on = make_mesh(MeshConfig(fsdp=8))
    store = CheckpointStore(tmp_path)
    store.save(1, jax.device_put(state, tree_shardings(saved_on, state)), {})
    for config, num in [(MeshConfig(fsdp=2, tensor=2), 4), (MeshConfig(fsdp=2, tensor=2), 8)]:
        shardings = tree_shardings(make_mesh(config, jax.devices()[:num]), state)
        like = jax.tree.map(
            lambda leaf, sharding: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
            state,
            shardings,
        )
        got, _, _ = store.restore(like)
        assert_same(got, state)
        for leaf, sharding in zip(jax.tree.leaves(got), jax.tree.leaves(shardings), strict=True):
            assert leaf.sharding.is_equivalent_to(sharding, leaf.ndim)
    got, _, _ = CheckpointStore(tmp_path).restore(jax.eval_shape(lambda: state))
    assert_same(got, state)
    assert {leaf.sharding for leaf in jax.tree.leaves(got)} == {SingleDeviceSharding(jax.devices()[0])}


def save_steps(store, *steps):
    for step in steps:
        store.save(step, {"w": jnp.full(100, step), "b": jnp.arange(3)}, {"step": step})


LIKE = {"w": jax.ShapeDtypeStruct((100,), jnp.int32), "b": jax.ShapeDtypeStruct((3,), jnp.int32)}


def test_the_newest_stay(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    assert store.steps() == ()
    save_steps(store, 0, 5, 10, 15)
    assert store.steps() == (10, 15)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["10", "15"]
    assert store.restore(LIKE)[2] == 15
    assert store.restore(LIKE, step=10)[1] == {"step": 10}
    assert store.extra() == {"step": 15}


def test_saving_a_step_again_replaces_it(tmp_path):
    store = CheckpointStore(tmp_path)
    save_steps(store, 5)
    store.save(5, {"w": jnp.zeros(100, jnp.int32), "b": jnp.arange(3)}, {"second": True})
    got, extra, _ = store.restore(LIKE)
    assert extra == {"second": True}
    assert not got["w"].any()
    assert [path.name for path in tmp_path.iterdir()] == ["5"]


def test_a_replacement_cut_off_between_its_renamings_loses_nothing(tmp_path):
    store = CheckpointStore(tmp_path)
    save_steps(store, 5)
    (tmp_path / "5").rename(tmp_path / ".5.replaced")
    (tmp_path / ".6.tmp").mkdir()
    assert store.steps() == (5,)
    assert store.restore(LIKE)[1] == {"step": 5}
    save_steps(store, 5, 6)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["5", "6"]


def test_a_checkpoint_that_a_running_process_removes_while_it_is_read_gives_way_to_a_newer_one(
    tmp_path, monkeypatch
):
    save_steps(CheckpointStore(tmp_path), 5)
    reader = CheckpointStore(tmp_path)
    read, steps_read = reader._files.read, []

    def slow_read(folder, *arguments):
        steps_read.append(int(folder.parent.name))
        if len(steps_read) == 1:
            save_steps(CheckpointStore(tmp_path, keep=1), 6)
        return read(folder, *arguments)

    monkeypatch.setattr(reader._files, "read", slow_read)
    got, _, step = reader.restore(LIKE)
    assert (steps_read, step) == ([5, 6], 6)
    assert (got["w"] == 6).all()


def files_of(checkpoint):
    return sorted(path for path in checkpoint.rglob("*") if path.is_file())


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def largest(checkpoint):
    return max(files_of(checkpoint), key=lambda path: path.stat().st_size)


DAMAGE = {
    "data cut short": (lambda c: cut(largest(c / "arrays")), "bytes,"),
    "one bit of the data": (lambda c: flip(largest(c / "arrays")), "has changed"),
    "extra cut short": (lambda c: cut(c / "extra.json"), "extra.json has"),
    "no manifest": (lambda c: (c / "manifest.json").unlink(), "manifest.json is missing"),
    "manifest cut short": (lambda c: cut(c / "manifest.json"), "manifest.json is cut short"),
    "manifest changed": (
        lambda c: (c / "manifest.json").write_text((c / "manifest.json").read_text().replace("100", "101")),
        "manifest.json has changed",
    ),
    "no arrays": (lambda c: shutil.rmtree(c / "arrays"), "is missing"),
    "empty folder": (lambda c: [shutil.rmtree(c), c.mkdir()], "manifest.json is missing"),
}


@pytest.fixture(scope="module")
def two_steps(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    save_steps(CheckpointStore(folder), 5, 10)
    return folder


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_newest_checkpoint_is_passed_over_with_a_warning(name, two_steps, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(two_steps, folder)
    damage, reason = DAMAGE[name]
    damage(folder / "10")
    store = CheckpointStore(folder)
    with pytest.warns(CheckpointWarning, match=rf"{folder}/10 is damaged .*{reason}.*step 5 is used instead"):
        got, extra, step = store.restore(LIKE)
    assert (step, extra) == (5, {"step": 5})
    assert (got["w"] == 5).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert store.extra() == {"step": 5}  # said once is enough
    with pytest.raises(CheckpointError, match=rf"10 is damaged: .*{reason}"):
        store.restore(LIKE, step=10)


def test_a_good_checkpoint_is_never_removed_in_favour_of_damaged_ones(two_steps, tmp_path):
    folder = tmp_path / "store"
    shutil.copytree(two_steps, folder)
    cut(largest(folder / "10" / "arrays"))
    store = CheckpointStore(folder, keep=1)
    save_steps(store, 7)  # the run went on from 5
    assert store.steps() == (7, 10)
    with pytest.warns(CheckpointWarning, match="step 7 is used"):
        assert store.restore(LIKE)[2] == 7
    save_steps(store, 10)
    assert store.steps() == (10,)
    assert store.restore(LIKE)[2] == 10


def test_no_whole_checkpoint_is_an_error_with_all_reasons(two_steps, tmp_path):
    with pytest.raises(FileNotFoundError, match="no checkpoint in"):
        CheckpointStore(tmp_path / "nothing").restore(LIKE)
    folder = tmp_path / "store"
    shutil.copytree(two_steps, folder)
    for step in ("5", "10"):
        (folder / step / "extra.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"no whole checkpoint.*10 is damaged.*5 is damaged"):
        CheckpointStore(folder).restore(LIKE)
    with pytest.raises(FileNotFoundError, match=r"no checkpoint of step 6 .* there are: 5, 10"):
        CheckpointStore(folder).restore(LIKE, step=6)


@pytest.mark.parametrize(
    ("like", "message"),
    [
        (
            {**LIKE, "w": jax.ShapeDtypeStruct((99,), jnp.int32)},
            r"`w` is int32 of shape \(100,\) there, but.*\(99,\)",
        ),
        ({**LIKE, "w": jax.ShapeDtypeStruct((100,), jnp.float32)}, "`w` is int32 .* but float32"),
        ({**LIKE, "c": jax.ShapeDtypeStruct((), jnp.float32)}, "`c` is not in it"),
        ({"w": LIKE["w"]}, "`b` is in it, but not"),
        ({**LIKE, "b": jax.random.key(0)}, r"`b` is int32 of shape \(3,\) there, but key<fry>"),
    ],
    ids=["shape", "dtype", "missing", "extra", "key"],
)
def test_a_state_that_does_not_fit_names_the_first_difference(two_steps, like, message):
    with pytest.raises(ValueError, match=message):
        CheckpointStore(two_steps).restore(like)


def test_what_cannot_be_saved_leaves_nothing(tmp_path):
    store = CheckpointStore(tmp_path)
    with pytest.raises(TypeError, match=r"holds arrays only; got .* at `f`"):
        store.save(0, {"f": jax.nn.relu}, {})
    with pytest.raises(TypeError, match="JSON"):
        store.save(0, {"w": jnp.ones(2)}, {"x": jnp.ones(2)})
    with pytest.raises(ValueError, match="`step` must be at least 0"):
        store.save(-1, {"w": jnp.ones(2)}, {})
    with pytest.raises(ValueError, match="`keep` must be at least 1"):
        CheckpointStore(tmp_path, keep=0)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"mounting a small disk needs root: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_a_clear_error_and_the_last_checkpoint_stays(key, small_disk, caplog):
    store = CheckpointStore(small_disk / "store")
    save_steps(store, 5)
    noise = jax.random.normal(key, (1000, 1000))  # 4 MB that do not compress
    with pytest.raises(CheckpointError, match=r"the disk is full. It needs about 4.0 MB.*step 5 is intact"):
        store.save(10, {"w": noise}, {})
    assert [path.name for path in store.folder.iterdir()] == ["5"]
    assert store.restore(LIKE)[2] == 5
    with pytest.raises(CheckpointError, match="the disk is full"):  # noticed in another place
        store.save(11, {"w": jnp.ones(3)}, {"text": "x" * 2_000_000})
    assert [path.name for path in store.folder.iterdir()] == ["5"]
    gc.collect()  # the threads of a failed write report what nobody asked them, some only now
    assert not caplog.records
    save_steps(store, 12)
    assert store.restore(LIKE)[2] == 12


def test_a_folder_that_cannot_be_made_is_a_clear_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"checkpoint 1 could not be written.*no earlier checkpoint"):
        CheckpointStore(tmp_path / "file" / "store").save(1, {"w": jnp.ones(2)}, {})


SAVE_FOR_EVER = """
import os, sys, time
import jax
import orbax.checkpoint
from artifex.generative_models.training.checkpointing import CheckpointStore

folder, num_children = sys.argv[1], int(sys.argv[2])
for child in range(num_children):   # forked, so that packages are loaded once
    if pid := os.fork():
        os.waitpid(pid, 0)
        continue
    store = CheckpointStore(folder, keep=2)
    step = store.steps()[-1] if store.steps() else 0
    print(os.getpid(), flush=True)
    while True:
        step += 1
        tree = {str(i): jax.numpy.full((50, 50), step) for i in range(4)}
        store.save(step, tree, {"step": step})
"""


def test_a_process_killed_at_any_moment_leaves_a_checkpoint_that_restores(tmp_path):
    num_children = 8
    environment = {**os.environ, "XLA_FLAGS": ""}
    saver = subprocess.Popen(
        [sys.executable, "-c", SAVE_FOR_EVER, str(tmp_path), str(num_children)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environment,
        text=True,
        start_new_session=True,  # so that no child outlives a test that fails
    )
    like = {str(i): jax.ShapeDtypeStruct((50, 50), jnp.int32) for i in range(4)}
    delays = random.Random(0)
    last, left_overs = 0, 0
    try:
        for _ in range(num_children):
            victim = int(saver.stdout.readline())
            deadline = time.monotonic() + 30
            while CheckpointStore(tmp_path).steps()[-1:] <= (last,) and time.monotonic() < deadline:
                time.sleep(0.01)  # until the child has saved once
            time.sleep(delays.uniform(0.0, 0.3))
            os.kill(victim, signal.SIGKILL)
            with warnings.catch_warnings():
                warnings.simplefilter("error")  # whole or absent: not even the newest may be damaged
                arrays, extra, step = CheckpointStore(tmp_path).restore(like)
            assert step > last
            assert extra == {"step": step}
            assert all((leaf == step).all() for leaf in arrays.values())
            last = step
            left_overs += any(path.name.startswith(".") for path in tmp_path.iterdir())
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(saver.pid, signal.SIGKILL)
        saver.communicate()
    assert left_overs > 0  # some were killed in the middle of a save
    CheckpointStore(tmp_path, keep=1).save(last + 1, {"w": jnp.ones(2)}, {})
    assert [path.name for path in tmp_path.iterdir()] == [str(last + 1)]


def test_a_checkpoint_is_plain_files(two_steps):
    manifest = json.loads((two_steps / "5" / "manifest.json").read_text())
    assert manifest["step"] == 5
    assert manifest["leaves"]["w"] == {"shape": [100], "dtype": "int32"}
    listed = {two_steps / "5" / name for name in manifest["files"]} | {two_steps / "5" / "manifest.json"}
    assert listed == set(files_of(two_steps / "5"))
    assert Path(two_steps / "5" / "extra.json").is_file()
