"""Meshes and shardings on eight simulated devices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.sharding import PartitionSpec as P

from artifex.generative_models.core.configuration import (
    ConfigError,
    MeshConfig,
    ShardingRuleConfig,
    from_yaml,
    to_yaml,
)
from artifex.generative_models.core.paths import named_leaves
from artifex.generative_models.scaling import (
    batch_sharding,
    check_batch_size,
    check_rules,
    make_mesh,
    replicated,
    tree_shardings,
)

MIXES = [(8, 1, 1), (2, 4, 1), (2, 2, 2), (1, 8, 1), (1, 1, 8)]


def mesh_of(data, fsdp, tensor, rules=()):
    return make_mesh(MeshConfig(data=data, fsdp=fsdp, tensor=tensor, rules=rules))


def specs(mesh, tree, rules=()):
    return {path: s.spec for path, s in named_leaves(tree_shardings(mesh, tree, rules)).items()}


def test_mesh_config_round_trips_through_yaml():
    config = MeshConfig(fsdp=4, rules=({"pattern": r"weight$", "spec": [None, "tensor"]},))
    assert from_yaml(MeshConfig, to_yaml(config)) == config
    assert config.rules == (ShardingRuleConfig(pattern=r"weight$", spec=(None, "tensor")),)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pattern": "weight(", "spec": ()}, "regular expression"),
        ({"pattern": "w", "spec": ("fdsp",)}, "Did you mean 'fsdp'"),
        ({"pattern": "w", "spec": ("fsdp", "fsdp")}, "each mesh axis once"),
    ],
)
def test_wrong_rules_are_config_errors(fields, message):
    with pytest.raises(ConfigError, match=message):
        ShardingRuleConfig(**fields)


def test_mesh_takes_all_devices_along_data_by_default():
    assert dict(make_mesh().shape) == {"data": 8, "fsdp": 1, "tensor": 1}
    assert dict(make_mesh(MeshConfig(fsdp=4)).shape) == {"data": 2, "fsdp": 4, "tensor": 1}


def test_one_device_is_a_mesh_of_one():
    mesh = make_mesh(MeshConfig(), jax.devices()[:1])
    assert dict(mesh.shape) == {"data": 1, "fsdp": 1, "tensor": 1}
    assert dict(make_mesh(MeshConfig(data=1)).shape) == dict(mesh.shape)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (MeshConfig(fsdp=3), r"multiple of fsdp \* tensor = 3 \* 1 = 3 devices; got 8 devices"),
        (MeshConfig(fsdp=16), r"16 devices; got 8 devices. Make `fsdp`"),
        (MeshConfig(data=4, fsdp=4), r"data \* fsdp \* tensor = 4 \* 4 \* 1 = 16 devices; got 8"),
    ],
)
def test_a_mesh_that_does_not_fit_says_what_would(config, message):
    with pytest.raises(ValueError, match=message):
        make_mesh(config)


def test_automatic_split_takes_the_largest_axis_that_divides():
    tree = {
        "weight": jnp.zeros((24, 64)),
        "tall": jnp.zeros((66, 24)),  # 66 is not a multiple of 8
        "odd": jnp.zeros((63, 65)),
        "small": jnp.zeros((8, 8)),
        "bias": jnp.zeros(2048),
        "count": jnp.zeros((), jnp.int32),
        "key": jax.random.key(0),
    }
    assert specs(mesh_of(1, 8, 1), tree) == {
        "weight": P(None, "fsdp"),
        "tall": P(None, "fsdp"),
        "odd": P(None, None),
        "small": P(),
        "bias": P("fsdp"),
        "count": P(),
        "key": P(),
    }


def test_tensor_and_fsdp_share_the_axis_of_the_outputs():
    tree = {
        "linear": jnp.zeros((64, 256)),  # (out, in)
        "stack": jnp.zeros((4, 64, 32)),  # (layer, out, in)
        "conv": jnp.zeros((64, 32, 3, 3)),
        "bias": jnp.zeros(1024),
        "inputs": jnp.zeros((31, 64)),  # the outputs do not divide
        "awkward": jnp.zeros((62, 31)),  # no axis divides by both together: fsdp has it
    }
    both = ("tensor", "fsdp")
    assert specs(mesh_of(2, 2, 2), tree) == {
        "linear": P(both, None),
        "stack": P(None, both, None),
        "conv": P(both, None, None, None),
        "bias": P(both),
        "inputs": P(None, both),
        "awkward": P("fsdp", None),
    }
    assert specs(mesh_of(1, 1, 8), tree)["linear"] == P("tensor", None)
    assert specs(mesh_of(1, 1, 8), tree)["inputs"] == P(None, "tensor")


@pytest.mark.parametrize("sizes", [(2, 2, 2), (1, 4, 2), (1, 2, 4)], ids=str)
def test_gradients_of_a_residual_mlp_are_those_of_one_device(sizes):
    """The network in which splitting two axes of a weight gave wrong gradients; see the module's docstring."""
    up_key, down_key, x_key = jax.random.split(jax.random.key(0), 3)
    weights = {
        "up": 0.2 * jax.random.normal(up_key, (64, 16)),
        "down": 0.2 * jax.random.normal(down_key, (16, 64)),
    }
    x = jax.random.normal(x_key, (8, 4, 16))

    def total(weights, x):
        return jnp.sum(jnp.sin(x + jax.nn.gelu(x @ weights["up"].T) @ weights["down"].T))

    gradient = jax.grad(total, argnums=(0, 1))
    mesh = mesh_of(*sizes)
    shardings = (tree_shardings(mesh, weights), batch_sharding(mesh))
    assert any(spec != P() for spec in specs(mesh, weights).values())
    split = jax.jit(gradient, in_shardings=shardings)(*jax.device_put((weights, x), shardings))
    whole = jax.jit(gradient)(weights, x)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), split, whole)


def test_one_device_gets_specs_that_split_nothing():
    found = specs(mesh_of(1, 1, 1), {"weight": jnp.zeros((64, 64))})
    assert found == {"weight": P(None, None)}


@pytest.mark.parametrize("optimizer", [optax.adamw(1e-3), optax.contrib.muon(1e-3)], ids=["adamw", "muon"])
def test_optimizer_state_is_split_as_the_parameters_are(key, optimizer):
    rules = (ShardingRuleConfig(pattern=r"layers\.1\.weight$", spec=(None, "tensor")),)
    mesh = mesh_of(2, 2, 2, rules)
    model = eqx.filter(eqx.nn.MLP(16, 4, 64, 2, key=key), eqx.is_inexact_array)
    of_model = specs(mesh, model, rules)
    of_state = specs(mesh, optimizer.init(model), rules)
    assert of_model["layers.1.weight"] == P(None, "tensor")
    counterparts = 0
    for path, spec in of_state.items():
        for parameter, expected in of_model.items():
            if path.endswith("." + parameter):
                assert spec == expected
                counterparts += 1
    assert counterparts >= len(of_model)


def test_a_rule_for_weights_leaves_factored_statistics_alone():
    rules = (ShardingRuleConfig(pattern="weight$", spec=("fsdp", None)),)
    weights = {"weight": jnp.zeros((256, 256))}
    state = optax.adafactor(1e-3, min_dim_size_to_factor=128).init(weights)
    found = specs(mesh_of(1, 8, 1), {"model": weights, "state": state}, rules)
    assert found["model.weight"] == P("fsdp", None)
    assert {len(spec) for path, spec in found.items() if "v_row" in path} <= {0, 1}


def test_a_rule_that_does_not_divide_names_leaf_rule_and_axis():
    rules = (ShardingRuleConfig(pattern="weight", spec=("fsdp", None)),)
    with pytest.raises(
        ValueError, match=r"axis 0 of layer\.weight, shape \(10, 4\).*10 is not a multiple of 8"
    ):
        tree_shardings(mesh_of(1, 8, 1), {"layer": {"weight": jnp.zeros((10, 4))}}, rules)


def test_a_rule_that_matches_nothing_is_an_error():
    tree = {"layer": {"weight": jnp.zeros((10, 4))}}
    check_rules(tree, [ShardingRuleConfig(pattern="weight", spec=(None, None))])
    with pytest.raises(
        ValueError, match=r"'wieght' with 2 axes matches no array. Arrays: layer.weight \(10, 4\)"
    ):
        check_rules(tree, [ShardingRuleConfig(pattern="wieght", spec=(None, None))])


def test_a_leaf_that_is_no_array_is_an_error():
    with pytest.raises(TypeError, match=r"at b.0. Pass `eqx.filter"):
        tree_shardings(mesh_of(8, 1, 1), {"a": jnp.zeros(2), "b": [jax.nn.relu]})


@pytest.mark.parametrize("batch_size", [8, 16])
def test_batch_sizes_that_fit(batch_size):
    check_batch_size(mesh_of(2, 4, 1), batch_size)


@pytest.mark.parametrize(
    ("batch_size", "nearest"), [(30, "24 or 32"), (3, r"fit: 8\."), (0, r"fit: 8\."), (-8, r"fit: 8\.")]
)
def test_batch_sizes_that_do_not_fit_name_the_nearest(batch_size, nearest):
    with pytest.raises(ValueError, match=rf"2 \* 4 = 8; got {batch_size}. Nearest.*{nearest}"):
        check_batch_size(mesh_of(2, 4, 1), batch_size)


def test_batch_sharding_splits_examples():
    mesh = mesh_of(2, 2, 2)
    stacked = jax.device_put(np.zeros((3, 8, 5), np.float32), batch_sharding(mesh, axis=1))
    assert {shard.data.shape for shard in stacked.addressable_shards} == {(3, 2, 5)}
    whole = jax.device_put(np.zeros((8, 5), np.float32), replicated(mesh))
    assert {shard.data.shape for shard in whole.addressable_shards} == {(8, 5)}


def adam_step_and_inputs(key, width=64, depth=3):
    model_key, x_key, y_key = jax.random.split(key, 3)
    model = eqx.nn.MLP(16, 16, width, depth, key=model_key)
    parameters, static = eqx.partition(model, eqx.is_inexact_array)
    optimizer = optax.adam(1e-2)
    batch = (jax.random.normal(x_key, (16, 16)), jax.random.normal(y_key, (16, 16)))

    def step(parameters, state, batch):
        def loss(parameters):
            predicted = jax.vmap(eqx.combine(parameters, static))(batch[0])
            return jnp.mean((predicted - batch[1]) ** 2)

        value, gradients = jax.value_and_grad(loss)(parameters)
        updates, state = optimizer.update(gradients, state, parameters)
        return optax.apply_updates(parameters, updates), state, value

    return step, parameters, optimizer.init(parameters), batch


def sharded_step(mesh, step, parameters, state, batch):
    shardings = tree_shardings(mesh, (parameters, state))
    inputs = (*shardings, batch_sharding(mesh))
    jitted = jax.jit(step, in_shardings=inputs, out_shardings=(*shardings, replicated(mesh)))
    parameters, state = jax.device_put((parameters, state), shardings)
    return jitted, (parameters, state, jax.device_put(batch, batch_sharding(mesh)))


@pytest.mark.parametrize("mix", MIXES, ids=str)
def test_a_step_on_eight_devices_equals_a_step_on_one(key, mix):
    step, parameters, state, batch = adam_step_and_inputs(key)
    one, inputs = sharded_step(mesh_of(1, 1, 1), step, parameters, state, batch)
    expected, _, loss = one(*inputs)
    many, inputs = sharded_step(mesh_of(*mix), step, parameters, state, batch)
    got, _, loss_many = many(*inputs)
    np.testing.assert_allclose(loss_many, loss, rtol=1e-6)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True):
        # Adam's first step is lr * sign(gradient): an entry whose gradient is round-off may go either way.
        close = np.isclose(a, b, rtol=1e-5, atol=1e-6)
        assert close.mean() > 0.999


def test_fsdp_over_eight_devices_holds_at_most_a_sixth_of_the_state(key):
    step, parameters, state, batch = adam_step_and_inputs(key, width=256)
    total = sum(leaf.nbytes for leaf in jax.tree.leaves((parameters, state)))
    jitted, inputs = sharded_step(mesh_of(1, 8, 1), step, parameters, state, batch)
    analysis = jitted.lower(*inputs).compile().memory_analysis()
    batch_bytes = sum(leaf.nbytes for leaf in batch) / 8
    assert (analysis.argument_size_in_bytes - batch_bytes) <= total / 6
    assert analysis.output_size_in_bytes <= total / 6
