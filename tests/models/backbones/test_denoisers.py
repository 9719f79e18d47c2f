"""Networks of diffusion models: shapes, gradients, conditions, types and what they refuse."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.backbones.networks import (
    NETWORKS,
    SHAPE,
    Row,
    filled,
    inputs_of,
    outputs,
    outputs_and_gradient,
    shapes_of,
)

from artifex.generative_models.core.configuration import (
    ConfigError,
    DiTConfig,
    MLPDenoiserConfig,
    MMDiTConfig,
    UNetConfig,
    UViTConfig,
    dit_size,
    mm_dit_size,
    u_vit_size,
)
from artifex.generative_models.core.paths import named_leaves
from artifex.generative_models.core.precision import cast_parameters
from artifex.generative_models.models.backbones import Stack
from artifex.generative_models.models.backbones.denoisers import make_denoiser
from artifex.generative_models.models.backbones.denoisers.dit import DiT

pytestmark = pytest.mark.usefixtures("cheap_compilation")


@pytest.fixture(scope="module", params=list(NETWORKS))
def row(request):
    """A network's config, shape and length of conditions."""
    return NETWORKS[request.param]


@pytest.fixture(scope="module")
def network(row):
    """The network, with random weights everywhere."""
    return filled(shapes_of(row))


@pytest.fixture(scope="module")
def inputs(row):
    """A batch of examples, levels and conditions."""
    return inputs_of(row)


def test_outputs_have_the_shape_and_every_weight_a_gradient(row, network, inputs):
    """Under jit and vmap; each row is what its example alone gives."""
    y, gradient = outputs_and_gradient(network, *inputs)
    assert y.shape == (2, *row.event_shape)
    assert y.dtype == jnp.float32
    silent = [name for name, leaf in named_leaves(gradient).items() if not np.abs(leaf).max() > 0]
    assert silent == []
    swapped, _ = outputs_and_gradient(network, *(a[::-1] for a in inputs))
    np.testing.assert_allclose(swapped[::-1], y, rtol=1e-4, atol=1e-5)


def test_level_and_condition_matter(network, inputs):
    """Another noise level or another condition gives another output, everywhere."""
    x, level, condition = inputs
    y, _ = outputs_and_gradient(network, x, level, condition)
    other_level, _ = outputs_and_gradient(network, x, level + 100.0, condition)
    other_condition, _ = outputs_and_gradient(network, x, level, jnp.roll(condition, 1, axis=1))
    assert (np.abs(other_level - y) > 1e-6).mean() > 0.9
    assert (np.abs(other_condition - y) > 1e-6).mean() > 0.9


def test_every_pixel_sees_every_pixel(network, inputs):
    """A changed corner reaches the opposite one."""
    x, level, condition = inputs
    y, _ = outputs_and_gradient(network, x, level, condition)
    first, last = ((slice(None), slice(None), *(place,) * (x.ndim - 2)) for place in (0, -1))
    changed, _ = outputs_and_gradient(network, x.at[first].add(3.0), level, condition)
    assert (np.abs(changed - y)[last] > 1e-7).all()


def test_computes_in_the_type_of_the_weights(network, inputs):
    """In bfloat16 the output is float32 still, and close to the float32 network's."""
    y, _ = outputs_and_gradient(network, *inputs)
    short = outputs(cast_parameters(network, "bfloat16"), *inputs)
    assert short.dtype == jnp.float32
    error = np.sqrt(np.mean((short - y) ** 2) / np.mean(y**2))
    assert 1e-4 < error < 0.1


@pytest.mark.parametrize("name", ["unet_one_block", "dit_tokens", "u_vit", "mm_dit"])
def test_start_is_small(name, key):
    """Before training the output is nearly zero, so the first loss is that of a zero prediction."""
    row = NETWORKS[name]
    make = eqx.filter_jit(make_denoiser)
    network = make(row.config, row.event_shape, condition_size=row.condition_size, key=key)
    y = outputs(network, *inputs_of(row))
    assert np.abs(y).mean() < 0.2
    if "dit" in name:
        assert not np.any(y)


def test_conditions_that_do_not_fit(row, network, inputs):
    """A missing, needless or too long condition is an error with the wanted shape."""
    x, level, condition = (a[0] for a in inputs)
    for wrong in (None, jnp.ones(row.condition_size + 1)):
        with pytest.raises(ValueError, match=rf"takes a condition vector of shape \({row.condition_size},\)"):
            eqx.filter_eval_shape(network, x, level, wrong)
    with pytest.raises(ValueError, match=r"takes (images|examples) of shape \(2, 8"):
        eqx.filter_eval_shape(network, x[:, :4], level, condition)
    with pytest.raises(ValueError, match=r"takes (images|examples) of shape \(2, 8"):
        eqx.filter_eval_shape(network, x[:1], level, condition)


KINDS = [(name, *kind) for name in ("unet", "dit", "u_vit") for kind in ((None, 0), (None, 3), ((3, 2), 6))]


@pytest.mark.parametrize(("name", "tokens", "size"), [*KINDS, ("mm_dit", (3, 2), 6)])
def test_kinds_of_conditions(name, tokens, size):
    """Nothing, a vector, or tokens alone, each of its length."""
    config = NETWORKS[name].config.replace(condition_tokens=tokens)
    network = filled(shapes_of(Row(config, SHAPE, size)))
    x, level = jnp.ones(SHAPE), jnp.asarray(1.0)
    condition = jnp.ones(size) if size else None
    assert eqx.filter_eval_shape(network, x, level, condition).shape == SHAPE
    with pytest.raises(ValueError, match="takes a condition vector of shape"):
        eqx.filter_eval_shape(network, x, level, jnp.ones(size + 1))


@pytest.mark.parametrize("name", ["unet_tokens", "dit_tokens", "u_vit", "mm_dit"])
def test_conditions_shorter_than_their_tokens(name):
    with pytest.raises(ConfigError, match=r"`condition_tokens` \(3, 2\) need.*at least 6 numbers.*got 5"):
        shapes_of(dataclasses.replace(NETWORKS[name], condition_size=5))


@pytest.mark.parametrize("name", ["unet_tokens", "dit_tokens", "mm_dit"])
def test_the_order_of_condition_tokens_makes_no_difference(name):
    """They have no positions but those that their features tell; which number belongs to which token does matter."""
    row = NETWORKS[name]
    network = filled(shapes_of(row))
    x, level, condition = inputs_of(row)
    tokens, rest = condition[:, :6].reshape(2, 3, 2), condition[:, 6:]

    def with_tokens(tokens):
        return outputs(network, x, level, jnp.concatenate([tokens.reshape(2, 6), rest], axis=1))

    y = outputs(network, x, level, condition)
    np.testing.assert_allclose(with_tokens(tokens[:, [2, 0, 1]]), y, rtol=1e-4, atol=1e-5)
    assert np.abs(with_tokens(tokens[:, :, ::-1]) - y).max() > 1e-3


@pytest.mark.parametrize(
    ("config", "deeper"),
    [
        (DiTConfig(hidden_size=16, num_layers=4, num_heads=2), 24),
        (UViTConfig(hidden_size=16, num_layers=5, num_heads=2), 25),
        (MMDiTConfig(hidden_size=16, num_layers=4, num_heads=2, condition_tokens=(3, 1)), 24),
    ],
    ids=lambda value: getattr(value, "kind", ""),
)
def test_more_blocks_make_no_longer_program(config, deeper, key):
    """The blocks are scanned: 24 of them are traced to as many operations as 4."""

    def num_lines(config):
        network = eqx.filter_eval_shape(make_denoiser, config, SHAPE, condition_size=3, key=key)
        arrays, static = eqx.partition(network, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
        traced = jax.make_jaxpr(lambda arrays, *inputs: eqx.combine(arrays, static)(*inputs))
        return len(str(traced(arrays, jnp.zeros(SHAPE), jnp.asarray(1.0), jnp.ones(3))).splitlines())

    assert num_lines(config.replace(num_layers=deeper)) == num_lines(config)


# UNet


def test_equal_blocks_are_scanned(key):
    """A level of many blocks is one scanned block, and at most two more on the way up."""
    config = UNetConfig(channels=(8, 12), num_blocks=6)
    unet = eqx.filter_eval_shape(make_denoiser, config, SHAPE, condition_size=0, key=key)
    assert [[type(run) is Stack for run in level.runs] for level in unet.down] == [[True], [False, True]]
    assert [[type(run) is Stack for run in level.runs] for level in unet.up] == [
        [False, True],
        [True, False],
    ]


def test_runs_of_two_blocks_are_not_scanned(key):
    unet = eqx.filter_eval_shape(
        make_denoiser, UNetConfig(channels=(8, 12), num_blocks=2), SHAPE, condition_size=0, key=key
    )
    assert [[type(run) is Stack for run in level.runs] for level in unet.down] == [[False] * 2] * 2


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 28, 28), "divisible by 8 = 2\\^\\(levels - 1\\).*got 28x28"),
        ((1, 16, 4), "divisible by 8"),
        ((1, 12), "divisible by 8.*got 12"),
        ((16,), "needs images"),
    ],
)
def test_unet_refuses_shapes_that_its_levels_do_not_divide(shape, message, key):
    with pytest.raises(ConfigError, match=message):
        make_denoiser(UNetConfig(channels=(8, 8, 8, 8)), shape, condition_size=0, key=key)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"channels": (7, 8)}, "must be even; got 7"),
        ({"channels": (8, 8), "attention_levels": (1, 2)}, r"below 2.*got \[2\]"),
        ({"channels": (8, 10), "num_heads": 4}, "must divide the channels.*got 4 and 10"),
        ({"channels": (6, 8), "attention_levels": (0,)}, "must divide the channels.*got 4 and 6"),
        ({"channels": (8, 12), "head_size": 8}, "`head_size` must divide the channels.*got 8 and 12"),
        ({"condition_tokens": (3, 2), "has_middle_attention": False}, "`condition_tokens` need attention"),
        ({"channels": (8, 12), "num_groups": 8}, r"`num_groups` must divide all.*got 8 and \(8, 12\)"),
    ],
)
def test_unet_configs_that_do_not_fit(fields, message):
    with pytest.raises(ConfigError, match=message):
        UNetConfig(**fields)


# DiT


def test_dit_starts_as_zero():
    """With a zero last layer the output is exactly zero; the modulations are zero too, as adaLN-Zero asks."""
    start = DiT(NETWORKS["dit"].config, SHAPE, condition_size=3, key=jax.random.key(0))
    layers: Any = start.blocks.layers
    modulations = (start.out, start.modulation, layers.modulation)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(modulations))


def num_parameters(config, event_shape, condition_size):
    """In millions."""
    network = shapes_of(Row(config, event_shape, condition_size))
    return sum(leaf.size for leaf in jax.tree.leaves(network)) / 1e6


@pytest.mark.parametrize(("size", "millions"), [("S", 33), ("B", 130), ("L", 458), ("XL", 675)])
def test_dit_sizes_are_those_of_the_paper(size, millions):
    """The numbers of parameters that the paper gives, with 1,000 classes and one for none, noise and variance out."""
    num = num_parameters(dit_size(size, patch_size=2), (4, 32, 32), 1001)
    assert abs(num - millions) < 0.012 * millions


@pytest.mark.parametrize(
    ("size", "patch_size", "event_shape", "num_classes", "millions"),
    [
        ("S", 2, (3, 32, 32), 0, 44),
        ("M", 4, (3, 64, 64), 1000, 131),
        ("L", 2, (4, 32, 32), 1001, 287),
        ("H", 2, (4, 32, 32), 1001, 501),
    ],
)
def test_u_vit_sizes_are_those_of_the_paper(size, patch_size, event_shape, num_classes, millions):
    num = num_parameters(u_vit_size(size, patch_size=patch_size), event_shape, num_classes)
    assert abs(num - millions) < 0.01 * millions


@pytest.mark.parametrize(("num_layers", "billions"), [(24, 2), (38, 8)])
def test_mm_dit_sizes_are_those_of_the_paper(num_layers, billions):
    """With 154 tokens of 4,096 features, and a pooled vector of 2,048."""
    config = mm_dit_size(num_layers, condition_tokens=(154, 4096))
    num = num_parameters(config, (16, 128, 128), 154 * 4096 + 2048)
    assert abs(num / 1e3 - billions) < 0.05 * billions


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DiTConfig(hidden_size=18, num_heads=2), "divisible by 4.*got 18 and 2 heads"),
        (lambda: DiTConfig(hidden_size=16, num_heads=3), "got 16 and 3 heads"),
        (lambda: DiTConfig(hidden_size=12, num_heads=2, positions="rotary"), "multiple of 4.*12 / 2 = 6"),
        (lambda: dit_size("M"), "unknown size of a DiT"),
        (lambda: UViTConfig(num_layers=12), "must be odd and at least 3.*got 12"),
        (lambda: UViTConfig(num_layers=1), "must be odd and at least 3.*got 1"),
        (lambda: u_vit_size("B"), "unknown size of a U-ViT"),
        (lambda: MMDiTConfig(num_layers=1), "at least 2.*got 1"),
        (lambda: MMDiTConfig(condition_tokens=(0, 3)), "condition_tokens"),
    ],
)
def test_transformer_configs_that_do_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 28, 28), "`patch_size` must divide.*got 8 and 28x28"), ((16,), "needs images")],
)
@pytest.mark.parametrize("make", [DiTConfig, UViTConfig, MMDiTConfig])
def test_transformers_refuse_shapes_that_their_patches_do_not_divide(make, shape, message, key):
    with pytest.raises(ConfigError, match=message):
        make_denoiser(make(patch_size=8), shape, condition_size=10, key=key)


def test_waves_start_at_the_frequencies_of_the_config(key):
    """Their root mean square, of 2,000 numbers, is within three standard errors; without waves there is no layer."""
    config = MLPDenoiserConfig(hidden_size=4, num_layers=1, num_waves=1000, wave_frequency=3.0)
    frequencies = make_denoiser(config, (2,), condition_size=0, key=key).waves.weight
    assert abs(float(jnp.sqrt(jnp.mean(frequencies**2))) / 3.0 - 1) < 3 / np.sqrt(2 * frequencies.size)
    assert make_denoiser(config.replace(num_waves=0), (2,), condition_size=0, key=key).waves is None


@pytest.mark.parametrize("name", NETWORKS)
def test_other_numbers_of_channels_out(name, key):
    """As many as are asked for, whatever goes in; by shapes alone."""
    row = NETWORKS[name]

    def output(key):
        size = row.condition_size
        network = make_denoiser(row.config, row.event_shape, condition_size=size, out_channels=5, key=key)
        return network(jnp.zeros(row.event_shape), jnp.zeros(()), jnp.zeros(size))

    assert eqx.filter_eval_shape(output, key).shape == (5, *row.event_shape[1:])
