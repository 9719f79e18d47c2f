"""Networks of diffusion models on images: shapes, gradients, conditions, types and what they refuse."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import ConfigError, DiTConfig, UNetConfig, dit_size
from artifex.generative_models.core.paths import named_leaves
from artifex.generative_models.core.precision import cast_parameters
from artifex.generative_models.models.backbones import Stack
from artifex.generative_models.models.backbones.denoisers import make_denoiser
from artifex.generative_models.models.backbones.denoisers.dit import DiT, position_features

SHAPE = (2, 8, 4)
NETWORKS = {
    # Levels that widen and narrow; attention inside a scanned run; runs of one block.
    "unet": UNetConfig(channels=(8, 12), num_blocks=3, attention_levels=(1,), num_heads=2),
    "unet_one_block": UNetConfig(
        channels=(8, 6), num_blocks=1, has_middle_attention=False, has_scale=False, num_groups=2
    ),
    "dit": DiTConfig(patch_size=2, hidden_size=16, num_layers=2, num_heads=2),
}


@pytest.fixture(scope="module", autouse=True)
def _cheap_compilation():
    """No optimisation of machine code, half of what compilation costs; the programs are the same."""
    before = jax.config.read("jax_disable_most_optimizations")
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", before)


def filled(config, event_shape, *, condition_size, seed=0):
    """The network with random numbers in every weight, so that no small start hides a path; nothing is compiled."""
    rng = np.random.default_rng(seed)
    network = eqx.filter_eval_shape(
        make_denoiser, config, event_shape, condition_size=condition_size, key=jax.random.key(0)
    )

    def fill(name, leaf):
        is_scale = "norm" in name and name.endswith("weight")
        return jnp.asarray(is_scale + 0.2 * rng.normal(size=leaf.shape), leaf.dtype)

    arrays, static = eqx.partition(network, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    values = [fill(name, leaf) for name, leaf in named_leaves(arrays).items()]
    return eqx.combine(jax.tree.unflatten(jax.tree.structure(arrays), values), static)


@pytest.fixture(scope="module", params=list(NETWORKS))
def network(request):
    return filled(NETWORKS[request.param], SHAPE, condition_size=3)


@pytest.fixture(scope="module")
def inputs():
    """A batch of examples, levels and conditions."""
    rng = np.random.default_rng(0)
    x = jnp.asarray(rng.normal(size=(2, *SHAPE)), jnp.float32)
    return x, jnp.asarray([100.0, 700.0]), jnp.eye(3)[:2]


@eqx.filter_jit
def outputs_and_gradient(network, x, level, condition):
    """Outputs of a batch, and the gradient of a number that depends on all of them."""

    def total(network):
        y = jax.vmap(network)(x, level, condition)
        return jnp.sum(jnp.sin(3.0 * y)), y

    (_, y), gradient = eqx.filter_value_and_grad(total, has_aux=True)(network)
    return y, gradient


def test_outputs_have_the_shape_and_every_weight_a_gradient(network, inputs):
    """Under jit and vmap; each row is what its example alone gives."""
    y, gradient = outputs_and_gradient(network, *inputs)
    assert y.shape == (2, *SHAPE)
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
    changed, _ = outputs_and_gradient(network, x.at[:, :, 0, 0].add(3.0), level, condition)
    assert (np.abs(changed - y)[:, :, -1, -1] > 1e-7).all()


@eqx.filter_jit
def outputs(network, x, level, condition):
    """Outputs of a batch."""
    return jax.vmap(lambda *one: network(*one))(x, level, condition)


@pytest.mark.parametrize("name", ["unet", "dit"])
def test_computes_in_the_type_of_the_weights(name, inputs):
    """In bfloat16 the output is float32 still, and close to the float32 network's."""
    network = filled(NETWORKS[name], SHAPE, condition_size=3)
    y, _ = outputs_and_gradient(network, *inputs)
    short = outputs(cast_parameters(network, "bfloat16"), *inputs)
    assert short.dtype == jnp.float32
    error = np.sqrt(np.mean((short - y) ** 2) / np.mean(y**2))
    assert 1e-4 < error < 0.1


@pytest.mark.parametrize("name", ["unet_one_block", "dit"])
def test_start_is_small(name, inputs, key):
    """Before training the output is nearly zero, so the first loss is that of a zero prediction."""
    network = make_denoiser(NETWORKS[name], SHAPE, condition_size=3, key=key)
    y = outputs(network, *inputs)
    assert np.abs(y).mean() < 0.2


def test_conditions_that_do_not_fit(inputs, key):
    """A missing, needless or too long condition is an error with the wanted shape."""
    x, level, condition = (a[0] for a in inputs)
    for config in NETWORKS.values():
        network = make_denoiser(config, SHAPE, condition_size=3, key=key)
        for wrong in (None, jnp.ones(4)):
            with pytest.raises(ValueError, match=r"takes a condition vector of shape \(3,\)"):
                eqx.filter_eval_shape(network, x, level, wrong)
        with pytest.raises(ValueError, match=r"takes images of shape \(2, 8, 4\)"):
            eqx.filter_eval_shape(network, x[:, :4], level, condition)
        free = eqx.filter_eval_shape(make_denoiser, config, SHAPE, condition_size=0, key=key)
        assert eqx.filter_eval_shape(free, x, level, None).shape == SHAPE
        with pytest.raises(ValueError, match="takes a condition vector of shape None"):
            eqx.filter_eval_shape(free, x, level, condition)


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


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((1, 28, 28), "divisible by 8 = 2\\^\\(levels - 1\\).*got 28x28"),
        ((1, 16, 4), "divisible by 8"),
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
        ({"channels": (8, 12), "num_groups": 8}, r"`num_groups` must divide all.*got 8 and \(8, 12\)"),
    ],
)
def test_unet_configs_that_do_not_fit(fields, message):
    with pytest.raises(ConfigError, match=message):
        UNetConfig(**fields)


# DiT


def test_positions_tell_all_tokens_apart_and_only_through_their_distance():
    """Distinct features for each token, whose products depend on the difference of the places alone."""
    features = position_features(3, 5, 16).reshape(3, 5, 16)
    products = np.einsum("abf,cdf->abcd", features, features)
    np.testing.assert_allclose(products[0, 0, 1, 2], products[1, 2, 2, 4], rtol=1e-5)
    np.testing.assert_allclose(np.einsum("aabb->ab", np.einsum("abcd->acbd", products)), 8.0, rtol=1e-5)
    others = products.reshape(15, 15)[~np.eye(15, dtype=bool)]
    assert others.max() < 8.0 - 0.1
    # Columns come first: tokens of one column share the first half.
    np.testing.assert_array_equal(features[0, :, :8], features[2, :, :8])


def test_dit_starts_as_zero(inputs):
    """With zero modulation and a zero last layer the output is exactly zero, as adaLN-Zero asks."""
    network = filled(NETWORKS["dit"], SHAPE, condition_size=3)
    network = eqx.tree_at(
        lambda n: (n.out.weight, n.out.bias), network, replace_fn=lambda leaf: jnp.zeros_like(leaf)
    )
    assert not np.any(outputs(network, *inputs))
    start = DiT(NETWORKS["dit"], SHAPE, condition_size=3, key=jax.random.key(0))
    layers: Any = start.blocks.layers
    modulations = (start.out, start.modulation, layers.modulation)
    assert not any(np.any(leaf) for leaf in jax.tree.leaves(modulations))


def test_more_dit_blocks_make_no_longer_program(key):
    """The blocks are scanned: 24 of them are traced to as many operations as 4."""

    def num_lines(num_layers):
        config = DiTConfig(hidden_size=16, num_layers=num_layers, num_heads=2)
        dit = eqx.filter_eval_shape(make_denoiser, config, SHAPE, condition_size=0, key=key)
        arrays, static = eqx.partition(dit, lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
        traced = jax.make_jaxpr(lambda arrays, x, level: eqx.combine(arrays, static)(x, level, None))
        return len(str(traced(arrays, jnp.zeros(SHAPE), jnp.asarray(1.0))).splitlines())

    assert num_lines(24) == num_lines(4)


@pytest.mark.parametrize(("size", "millions"), [("S", 33), ("B", 130), ("L", 458), ("XL", 675)])
def test_dit_sizes_are_those_of_the_paper(size, millions, key):
    """The numbers of parameters that the paper gives, with 1,000 classes and one for none, noise and variance out."""
    config = dit_size(size, patch_size=2)
    dit = eqx.filter_eval_shape(make_denoiser, config, (4, 32, 32), condition_size=1001, key=key)
    num = sum(leaf.size for leaf in jax.tree.leaves(dit))
    assert abs(num / 1e6 - millions) < 0.012 * millions


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: DiTConfig(hidden_size=18, num_heads=2), "divisible by 4.*got 18 and 2 heads"),
        (lambda: DiTConfig(hidden_size=16, num_heads=3), "got 16 and 3 heads"),
        (lambda: dit_size("M"), "unknown size of a DiT"),
    ],
)
def test_dit_configs_that_do_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("shape", "message"),
    [((1, 28, 28), "`patch_size` must divide.*got 8 and 28x28"), ((16,), "needs images")],
)
def test_dit_refuses_shapes_that_its_patches_do_not_divide(shape, message, key):
    with pytest.raises(ConfigError, match=message):
        make_denoiser(DiTConfig(patch_size=8), shape, condition_size=0, key=key)
