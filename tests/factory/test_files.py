"""Models on disk: exact round trips, and an error for every file that is not the model it claims to be."""

import subprocess

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from jaxtyping import Array

from artifex.generative_models.core.configuration import ConfigError, ModelConfig, config, to_json
from artifex.generative_models.core.configuration.fields import PositiveInt
from artifex.generative_models.core.models import AbstractGenerativeModel
from artifex.generative_models.core.paths import named_leaves
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.trainable import Buffer
from artifex.generative_models.factory import create_model, load_model, register_model, save_model
from artifex.generative_models.factory.files import ModelFileError


@config("files_test")
class TinyConfig(ModelConfig):
    """A model of a user."""

    width: PositiveInt = 8


@register_model(TinyConfig)
class Tiny(AbstractGenerativeModel):
    """Arrays of several types, a buffer, and leaves that are no arrays."""

    config: TinyConfig = eqx.field(static=True)
    network: eqx.nn.MLP
    counts: Buffer
    flags: Array
    empty: Array

    def __init__(self, config, *, key):
        self.config = config
        self.network = eqx.nn.MLP(4, 2, config.width, 1, key=key)
        self.counts = Buffer({"uses": jnp.arange(config.width), "mean": jnp.zeros((), jnp.bfloat16)})
        self.flags = jnp.array([True, False])
        self.empty = jnp.zeros((0, 3))

    def _generate_one(self, condition, *, key):
        return self.network(jax.random.normal(key, (4,)))

    def _loss_batch(self, x, condition, *, key, step):
        return LossOutput(total=jnp.mean(x), metrics={})


def arrays(model):
    return {name: leaf for name, leaf in named_leaves(model).items() if eqx.is_array(leaf)}


@pytest.fixture
def model(key):
    return create_model(TinyConfig(width=6), key=key)


@pytest.fixture
def saved(model, tmp_path):
    path = tmp_path / "model.safetensors"
    save_model(path, model)
    return path


def rewrite(path, change, **metadata):
    """Write the file again with other tensors or metadata."""
    tensors = safetensors.numpy.load_file(path)
    change(tensors)
    defaults = {"format": "artifex-model-1", "config": to_json(TinyConfig(width=6))}
    safetensors.numpy.save_file(tensors, path, metadata={**defaults, **metadata})


def test_round_trip_is_exact(model, saved):
    loaded = load_model(saved)
    assert type(loaded) is Tiny
    assert loaded.config == model.config
    assert jax.tree.structure(loaded) == jax.tree.structure(model)
    for name, leaf in arrays(model).items():
        got = arrays(loaded)[name]
        assert (got.shape, got.dtype) == (leaf.shape, leaf.dtype), name
        np.testing.assert_array_equal(np.asarray(got), np.asarray(leaf), err_msg=name)
    sample_key = jax.random.key(3)
    np.testing.assert_array_equal(loaded.generate(3, key=sample_key), model.generate(3, key=sample_key))


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16])
def test_a_model_in_a_shorter_type_stays_in_it(model, tmp_path, dtype):
    short = jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, model)
    save_model(tmp_path / "short", short)
    loaded = arrays(load_model(tmp_path / "short"))
    assert loaded["network.layers.0.weight"].dtype == dtype
    np.testing.assert_array_equal(
        np.asarray(loaded["network.layers.0.weight"]), np.asarray(short.network.layers[0].weight)
    )


def test_another_program_finds_names_and_config(model, saved):
    with safetensors.safe_open(saved, framework="numpy") as file:
        assert set(file.keys()) == set(arrays(model))
        assert file.metadata()["config"] == to_json(model.config)
        np.testing.assert_array_equal(file.get_tensor("counts.value.uses"), np.arange(6))


def test_a_sharded_model_is_saved_whole(model, saved, tmp_path):
    mesh = jax.make_mesh((2,), ("x",), axis_types=(jax.sharding.AxisType.Auto,))
    split = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("x"))
    weight = jax.device_put(model.network.layers[0].weight, split)
    save_model(tmp_path / "split", eqx.tree_at(lambda m: m.network.layers[0].weight, model, weight))
    whole, split = (safetensors.numpy.load_file(path) for path in (saved, tmp_path / "split"))
    np.testing.assert_array_equal(split["network.layers.0.weight"], whole["network.layers.0.weight"])


def test_saving_replaces_and_leaves_nothing_beside_it(saved, key):
    save_model(saved, create_model(TinyConfig(width=3), key=key))
    assert load_model(saved).config.width == 3
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: data[:-7], "not a whole safetensors file: .*Copy or save"),
        (lambda data: data[:30], "not a whole safetensors file"),
        (lambda data: b"", "not a whole safetensors file"),
        (lambda data: b"GIF89a, or any other file of some length", "not a whole safetensors file"),
    ],
    ids=["truncated", "header", "empty", "other"],
)
def test_a_file_that_is_not_whole_is_an_error(saved, damage, message):
    saved.write_bytes(damage(saved.read_bytes()))
    with pytest.raises(ModelFileError, match=rf"{saved}.*{message}"):
        load_model(saved)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("flags"), "it lacks `flags`"),
        (
            lambda t: t.update(flag=t.pop("flags")),
            "lacks `flags`; it has in addition `flag`. Nearest to `flags` is `flag`",
        ),
        (lambda t: t.update(flagz=t["flags"]), "has in addition `flagz`. Nearest to `flagz` is `flags`"),
        (lambda t: t.update({f"x{i}": t["flags"] for i in range(9)}), "and 4 more"),
        (lambda t: t.update(flags=np.ones(3, bool)), r"`flags` must have shape \(2,\).*got \(3,\)"),
        (lambda t: t.update(flags=np.ones(2, np.int32)), "`flags` must be bool or alike; got int32"),
    ],
    ids=["missing", "renamed", "extra", "many", "shape", "type"],
)
def test_arrays_that_are_not_the_models_are_an_error(saved, change, message):
    rewrite(saved, change)
    with pytest.raises(ModelFileError, match=message):
        load_model(saved)


def test_files_without_a_readable_config_are_an_error(saved, tmp_path):
    safetensors.numpy.save_file({"w": np.ones(2)}, tmp_path / "foreign")
    with pytest.raises(ModelFileError, match=r"not written by `save_model`: .* got nothing"):
        load_model(tmp_path / "foreign")
    rewrite(saved, lambda t: None, format="artifex-model-9")
    with pytest.raises(ModelFileError, match=r"format 'artifex-model-9'.*Update artifex"):
        load_model(saved)
    rewrite(saved, lambda t: None, config='{"kind": "files_tset"}')
    with pytest.raises(ConfigError, match=rf"in {saved}.*Did you mean 'files_test'"):
        load_model(saved)


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        load_model(tmp_path / "nothing")
    with pytest.raises(FileNotFoundError, match="it is a folder"):
        load_model(tmp_path)


def test_what_is_no_model_cannot_be_saved(model, key, tmp_path):
    with pytest.raises(TypeError, match="only a model with a `config` can be saved; got MLP"):
        save_model(tmp_path / "m", model.network)
    with pytest.raises(TypeError, match=r"no random keys; got one at `counts\.value`"):
        save_model(tmp_path / "m", eqx.tree_at(lambda m: m.counts, model, Buffer(key)))
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_a_clear_error_and_the_old_file_stays(model, key, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if (mounted := subprocess.run(mount, capture_output=True, check=False)).returncode:
        pytest.skip(f"mounting a small disk needs root: {mounted.stderr.decode().strip()}")
    try:
        save_model(disk / "model", model)
        with pytest.raises(
            OSError, match=r"the model \(0\.\d MB\) could not be written to .*[Nn]o space left"
        ):
            save_model(disk / "model", create_model(TinyConfig(width=9000), key=key))
        assert [path.name for path in disk.iterdir()] == ["model"]
        assert load_model(disk / "model").config == model.config
    finally:
        subprocess.run(["umount", str(disk)], check=True)
