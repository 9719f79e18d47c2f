"""What every model keeps: shapes, one compilation, keys, independence of the batch, gradients, files, devices."""

import collections

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from tests.contract.table import TABLE, batch, conditions, make

from artifex.generative_models.core import models as bases
from artifex.generative_models.core.configuration import (
    AdamConfig,
    MeshConfig,
    ModelConfig,
    TrainingConfig,
    from_yaml,
    to_yaml,
)
from artifex.generative_models.core.protocols import DensityModel, GenerativeModel, LatentModel
from artifex.generative_models.core.trainable import is_buffer, partition_trainable
from artifex.generative_models.factory import create_model, load_model, save_model
from artifex.generative_models.scaling import make_mesh
from artifex.generative_models.training import fit, init_state, make_train_step

MESHES = {
    "data": MeshConfig(data=8),
    "fsdp": MeshConfig(data=1, fsdp=8),
    "data-fsdp-tensor": MeshConfig(data=2, fsdp=2, tensor=2),
}


@pytest.fixture(scope="module", params=list(TABLE))
def entry(request):
    return TABLE[request.param]


@pytest.fixture(scope="module")
def model(entry):
    return make(entry)


def assert_close(actual, expected, *, rtol=1e-5, atol=1e-5):
    jax.tree.map(lambda a, e: np.testing.assert_allclose(a, e, rtol=rtol, atol=atol), actual, expected)


def differs(a, b):
    return any(not np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


def test_config_round_trip(entry):
    """The config of a model survives YAML, is hashable, and is the model's static field."""
    assert from_yaml(ModelConfig, to_yaml(entry.config)) == entry.config
    assert hash(entry.config) == hash(from_yaml(type(entry.config), to_yaml(entry.config)))


def test_shapes_and_types(entry, model, key):
    """What comes out has the event's shape in float32; the loss is a float32 scalar with named scalar metrics."""
    assert isinstance(model, GenerativeModel)
    assert model.config == entry.config
    samples = model.generate(3, key=key, condition=conditions(entry, 3))
    assert samples.shape == (3, *entry.config.event_shape)
    assert samples.dtype == jnp.float32
    assert np.isfinite(samples).all()
    output = model.loss(**batch(entry, 4), key=key, step=0)
    assert output.total.shape == ()
    assert output.total.dtype == jnp.float32
    assert output.metrics
    for name, value in output.metrics.items():
        assert value.shape == (), name
        assert np.isfinite(value), name


def test_density_and_latents(entry, model, key):
    """A density gives one number an example; latents lead back to the event's shape."""
    given = batch(entry, 4)
    condition = given.get("condition")
    if isinstance(model, DensityModel):
        log_prob = model.log_prob(given["x"], condition=condition, key=key)
        assert log_prob.shape == (4,)
        assert np.isfinite(log_prob).all()
    assert isinstance(model, LatentModel)
    z = model.encode(given["x"], condition)
    assert model.decode(z, condition).shape == given["x"].shape
    assert_close(model.decode(z, condition), model.reconstruct(given["x"], condition))
    path = model.interpolate(given["x"][:2], given["x"][2:], 3, None if condition is None else condition[:2])
    assert path.shape == (2, 3, *entry.config.event_shape)
    assert_close(path[:, 0], model.reconstruct(given["x"], condition)[:2], atol=1e-4)


def test_compiled_once_and_equal_to_eager(entry, model, key):
    """The second call of a public method traces nothing, and the maths without `jit` gives the same."""
    given = batch(entry, 5)
    counts = collections.Counter()
    original = type(model)._loss_batch

    def counted(self, *args, **kwargs):
        counts["loss"] += 1
        return original(self, *args, **kwargs)

    type(model)._loss_batch = counted
    try:
        first = model.loss(**given, key=key, step=3)
        model.loss(**batch(entry, 5, seed=1), key=jax.random.key(5), step=4)
    finally:
        type(model)._loss_batch = original
    assert counts["loss"] == 1
    x, condition = bases.checked_batch(model.config, given["x"], given.get("condition"))
    eager = model._loss_batch(x, condition, key=key, step=jnp.asarray(3, jnp.int32))
    assert_close(first.total, eager.total, rtol=1e-4)
    before = bases._generate._cached._cache_size()
    model.generate(6, key=key, condition=conditions(entry, 6))
    after = bases._generate._cached._cache_size()
    model.generate(6, key=jax.random.key(8), condition=conditions(entry, 6, seed=3))
    assert after == before + 1
    assert bases._generate._cached._cache_size() == after


def test_keys(entry, model, key):
    """Same key, same result; another key, another result; sample i whatever the number and the chunks."""
    condition = conditions(entry, 6)
    one = model.generate(6, key=key, condition=condition)
    assert_close(one, model.generate(6, key=key, condition=condition), rtol=0, atol=0)
    assert differs(one, model.generate(6, key=jax.random.key(9), condition=condition))
    assert differs(one[0], one[1])
    chunked = model.generate(6, key=key, condition=condition, chunk_size=4)
    few = model.generate(2, key=key, condition=None if condition is None else condition[:2])
    assert_close(chunked, one, atol=1e-4)
    assert_close(few, one[:2], atol=1e-4)


def test_rows_are_independent(entry, model, key):
    """Changing one example leaves the results of the others as they are."""
    given = batch(entry, 4)
    condition = given.get("condition")
    changed = given["x"].at[1].set(batch(entry, 4, seed=7)["x"][1])
    rest = np.array([0, 2, 3])
    for compute in (
        lambda x: model.reconstruct(x, condition, key=key),
        lambda x: model.log_prob(x, condition=condition, key=key) if isinstance(model, DensityModel) else x,
    ):
        before, after = compute(given["x"]), compute(changed)
        assert_close(after[rest], before[rest])
        assert differs(after[1], before[1])


def test_condition_matters(entry, model, key):
    """A conditional model's samples change with the condition; a missing or needless one is an error."""
    if entry.config.condition_size == 0:
        with pytest.raises(ValueError, match="unconditional"):
            model.generate(2, key=key, condition=jnp.zeros(2, jnp.int32))
        return
    with pytest.raises(ValueError, match="conditional"):
        model.generate(2, key=key)
    first = conditions(entry, 2)
    other = (first + 1) % entry.config.num_classes if entry.config.num_classes else first + 1.0
    z = model.encode(batch(entry, 2)["x"], first)
    assert differs(model.decode(z, first), model.decode(z, other))


def test_every_parameter_learns(entry, model, key):
    """Each trainable leaf has a finite gradient that is not zero; buffers have none and no optimizer state."""
    given = batch(entry, 6)
    trainable, rest = partition_trainable(model)

    def objective(trainable):
        return eqx.combine(trainable, rest).loss(**given, key=key, step=10_000).total

    gradient = eqx.filter_jit(jax.grad(objective))(trainable)
    silent = []
    for path, leaf in jax.tree_util.tree_leaves_with_path(gradient):
        name = jax.tree_util.keystr(path)
        assert np.isfinite(leaf).all(), name
        if not np.abs(leaf).max() > 0:
            silent.append(name)
    assert silent == []
    buffers = [node for node in jax.tree.leaves(gradient, is_leaf=is_buffer) if is_buffer(node)]
    assert all(jax.tree.leaves(node) == [] for node in buffers)


def test_save_and_load(entry, model, key, tmp_path):
    """The file gives back the model, buffers included, with the same samples."""
    save_model(tmp_path / "model.safetensors", model)
    loaded = load_model(tmp_path / "model.safetensors")
    assert jax.tree.structure(loaded) == jax.tree.structure(model)
    assert_close(eqx.filter(loaded, eqx.is_array), eqx.filter(model, eqx.is_array), rtol=0, atol=0)


def test_fits_eight_points(entry, key):
    """Training on eight examples lowers the loss by a clear margin, with finite numbers throughout."""
    given = batch(entry, 8)
    config = TrainingConfig(
        num_steps=entry.fit_steps,
        batch_size=8,
        optimizer=AdamConfig(learning_rate=3e-3),
        log_every=entry.fit_steps // 10,
        steps_per_dispatch=entry.fit_steps // 10,
        mesh=MeshConfig(data=1),
    )
    result = fit(create_model(entry.config, key=key), given, config, key=key, progress=False)
    values = [record[entry.fit_metric] for record in result.records]
    assert np.isfinite(values).all()
    assert values[-1] < values[0] - 0.1 * abs(values[0]), values


@pytest.mark.parametrize("mix", list(MESHES))
def test_one_device_equals_eight(entry, model, key, mix):
    """One step of Adam with bound parameters agrees to float32 round-off, however the arrays are split."""
    given = batch(entry, 8)
    optimizer = optax.adam(
        1e-3, eps=1e-3
    )  # the default eps would turn round-off in tiny gradients into steps
    state = init_state(model, optimizer, key=key, use_ema=True)
    results = []
    for config, devices in ((MeshConfig(data=1), jax.devices()[:1]), (MESHES[mix], jax.devices())):
        step = make_train_step(state, optimizer, mesh=make_mesh(config, devices), ema_decay=0.9)
        fresh = init_state(model, optimizer, key=key, use_ema=True)
        results.append(step(step.place(fresh), given))
    (one, one_metrics), (eight, eight_metrics) = results
    assert_close(eight_metrics, one_metrics, rtol=2e-5, atol=1e-5)
    assert_close(
        eqx.filter(eight.model, eqx.is_inexact_array), eqx.filter(one.model, eqx.is_inexact_array), atol=2e-5
    )


def test_bfloat16_trains(entry, model, key):
    """Networks in bfloat16 give a loss near the float32 one, and float32 gradients."""
    given = batch(entry, 8)
    optimizer = optax.sgd(1e-3)
    state = init_state(model, optimizer, key=key)
    mesh = make_mesh(MeshConfig(data=1), jax.devices()[:1])
    losses = []
    for precision in ("float32", "bfloat16"):
        step = make_train_step(state, optimizer, mesh=mesh, precision=precision)
        new, metrics = step(step.place(init_state(model, optimizer, key=key)), given)
        losses.append(float(metrics["loss"]))
        dtypes = {leaf.dtype for leaf in jax.tree.leaves(eqx.filter(new.model, eqx.is_inexact_array))}
        assert dtypes == {jnp.dtype("float32")}
    assert losses[0] != losses[1]
    assert abs(losses[1] - losses[0]) < 0.05 * abs(losses[0]) + 0.5
