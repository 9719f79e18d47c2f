"""What the methods of every model keep: shapes, one compilation, keys, independence of the batch, files.

Calls agree in their shapes where they can, so that the tests of a model share what is compiled.
"""

import collections

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.contract.checks import assert_close, differs
from tests.contract.rows import rows
from tests.contract.table import TABLE, batch, conditions

from artifex.generative_models.core import models as bases
from artifex.generative_models.core.configuration import (
    DiffusionConfig,
    ModelConfig,
    VQVAEConfig,
    from_yaml,
    to_yaml,
)
from artifex.generative_models.core.protocols import DensityModel, GenerativeModel, LatentModel
from artifex.generative_models.factory import load_model, save_model

NUM = 4
LIKE_DENSITY = ("ddpm", "flow_matching")  # two of the diffusion models, whose likelihood is one function


def _has_a_like_density(name):
    return isinstance(TABLE[name].config, DiffusionConfig) and name not in LIKE_DENSITY


def test_config_round_trip(entry):
    """The config of a model survives YAML, is hashable, and is the model's static field."""
    assert from_yaml(ModelConfig, to_yaml(entry.config)) == entry.config
    assert hash(entry.config) == hash(from_yaml(type(entry.config), to_yaml(entry.config)))


@pytest.mark.parametrize("method", ["_loss_batch", "_generate_one"])
def test_compiled_once(entry, model, key, monkeypatch, method):
    """The second call of a public method traces nothing, whatever the numbers in its arguments."""
    counts = collections.Counter()
    original = getattr(type(model), method)

    def counted(self, *args, **kwargs):
        counts[method] += 1
        return original(self, *args, **kwargs)

    # Taken away again even where the class inherits the method.
    monkeypatch.setattr(type(model), method, counted)
    call = {
        "_loss_batch": lambda seed, key: model.loss(**batch(entry, NUM, seed=seed), key=key, step=seed),
        "_generate_one": lambda seed, key: model.generate(
            NUM, key=key, condition=conditions(entry, NUM, seed=seed)
        ),
    }[method]
    call(0, key)
    assert counts[method] == 1
    call(1, jax.random.key(5))
    assert counts[method] == 1


def test_compiled_equals_eager(entry, model, key):
    """The maths without `jit` gives the same loss and metrics."""
    given = batch(entry, NUM)
    compiled = model.loss(**given, key=key, step=3)
    x, condition = bases.checked_batch(model.config, given["x"], given.get("condition"))
    eager = model._loss_batch(x, condition, key=key, step=jnp.asarray(3, jnp.int32))
    assert_close(compiled.total, eager.total, rtol=1e-4)
    assert_close(compiled.metrics, eager.metrics, rtol=1e-4)


def test_shapes_and_types(entry, model, key):
    """What comes out is like the examples; the loss is a float32 scalar with named scalar metrics."""
    assert isinstance(model, GenerativeModel)
    assert model.config == entry.config
    samples = model.generate(NUM, key=key, condition=conditions(entry, NUM))
    assert samples.shape == (NUM, *entry.config.event_shape)
    assert samples.dtype == entry.dtype
    assert np.isfinite(samples).all()
    output = model.loss(**batch(entry, NUM), key=key, step=0)
    assert output.total.shape == ()
    assert output.total.dtype == jnp.float32
    assert output.metrics
    for name, value in output.metrics.items():
        assert value.shape == (), name
        assert np.isfinite(value), name


@pytest.mark.parametrize("entry", rows(_has_a_like_density), indirect=True)
def test_density_and_latents(entry, model, key):
    """A density gives one number an example; latents lead back to the event's shape, where a model has them."""
    given = batch(entry, NUM)
    x, condition = given["x"], given.get("condition")
    if isinstance(model, DensityModel):
        log_prob = model.log_prob(x, condition=condition, key=key)
        assert log_prob.shape == (NUM,)
        assert np.isfinite(log_prob).all()
    if not isinstance(model, LatentModel):
        return
    z = model.encode(x, condition)
    reconstructed = model.reconstruct(x, condition)
    assert reconstructed.shape == x.shape
    assert_close(model.decode(z, condition), reconstructed)
    path = model.interpolate(x, x[::-1], 3, condition)
    assert path.shape == (NUM, 3, *entry.config.event_shape)
    assert_close(path[:, 0], reconstructed, atol=1e-4)


def test_keys(entry, model, key):
    """Same key, same result; another key, another result; sample i whatever the number and the chunks."""
    condition = conditions(entry, NUM)
    one = model.generate(NUM, key=key, condition=condition)
    assert_close(one, model.generate(NUM, key=key, condition=condition), rtol=0, atol=0)
    assert differs(one, model.generate(NUM, key=jax.random.key(9), condition=condition))
    assert differs(one[0], one[1])
    few = NUM - 1
    chunked = model.generate(NUM, key=key, condition=condition, chunk_size=few)
    first = model.generate(few, key=key, condition=None if condition is None else condition[:few])
    assert_close(chunked, one, atol=1e-4)
    assert_close(first, one[:few], atol=1e-4)


def test_rows_are_independent(entry, model, key):
    """Changing one example leaves the results of the others as they are."""
    given = batch(entry, NUM)
    condition = given.get("condition")
    changed = given["x"].at[1].set(batch(entry, NUM, seed=7)["x"][1])
    rest = np.array([0, 2, 3])
    if isinstance(entry.config, VQVAEConfig):  # before the first batch, all points may have the same code
        model = eqx.filter_jit(type(model).loss)(model, **given, key=key).model

    def latents(x):
        return model.encode(x, condition, key=key)

    def densities(x):
        return model.log_prob(x, condition=condition, key=key)

    def reconstructions(x):
        return model.reconstruct(x, condition)

    of_latents = (latents, reconstructions) if isinstance(model, LatentModel) else ()
    of_densities = (densities,) if isinstance(model, DensityModel) else ()
    for compute in (*of_latents, *of_densities):
        before, after = compute(given["x"]), compute(changed)
        assert_close(*(jax.tree.map(lambda leaf: leaf[rest], tree) for tree in (after, before)))
        assert differs(*(jax.tree.map(lambda leaf: leaf[1], tree) for tree in (after, before)))


def test_condition_matters(entry, model, key):
    """A conditional model's samples change with the condition; a missing or needless one is an error."""
    if entry.config.condition_size == 0:
        with pytest.raises(ValueError, match="unconditional"):
            model.generate(NUM, key=key, condition=jnp.zeros(NUM, jnp.int32))
        return
    with pytest.raises(ValueError, match="conditional"):
        model.generate(NUM, key=key)
    first = conditions(entry, NUM)
    other = (first + 1) % entry.config.num_classes if entry.config.num_classes else first + 1.0
    if isinstance(model, LatentModel) and entry.decodes_condition:
        z = model.encode(batch(entry, NUM)["x"], first)
        assert differs(model.decode(z, first), model.decode(z, other))
    else:
        # Many, as tokens may be the same by chance.
        first, other = (jnp.repeat(c, 8, axis=0) for c in (first, other))
        samples = (model.generate(8 * NUM, key=jax.random.key(3), condition=c) for c in (first, other))
        assert differs(*samples)


def test_save_and_load(model, tmp_path):
    """The file gives back the model, buffers included."""
    save_model(tmp_path / "model.safetensors", model)
    loaded = load_model(tmp_path / "model.safetensors")
    assert jax.tree.structure(loaded) == jax.tree.structure(model)
    assert_close(eqx.filter(loaded, eqx.is_array), eqx.filter(model, eqx.is_array), rtol=0, atol=0)
