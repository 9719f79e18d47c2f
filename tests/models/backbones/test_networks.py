"""Backbones: shapes of any size, types, conditions, and depth without compile time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    ConfigError,
    ConvDecoderConfig,
    ConvEncoderConfig,
    MLPDecoderConfig,
    MLPEncoderConfig,
    ModelConfig,
    config,
)
from artifex.generative_models.core.precision import cast_parameters
from artifex.generative_models.core.trainable import partition_trainable
from artifex.generative_models.models.backbones import (
    MLP,
    Stack,
    condition_vector,
    conv2d,
    group_norm,
    linear,
    make_decoder,
    make_encoder,
    make_grid_decoder,
    make_grid_encoder,
)
from artifex.generative_models.models.backbones.convolution import channels_first, channels_last, subpixels
from artifex.generative_models.models.backbones.convolutional import level_sizes
from artifex.generative_models.models.backbones.layers import pixel_shuffle


@config("backbones_test")
class Labelled(ModelConfig):
    """A model config that can be built."""


CODERS = {
    "mlp": (MLPEncoderConfig(hidden_sizes=(8, 8, 8)), MLPDecoderConfig(hidden_sizes=(8,))),
    "linear": (MLPEncoderConfig(hidden_sizes=()), MLPDecoderConfig(hidden_sizes=())),
    "conv": (ConvEncoderConfig(channels=(4, 8)), ConvDecoderConfig(channels=(8, 4), num_blocks=2)),
}


@pytest.mark.parametrize("condition_size", [0, 3])
@pytest.mark.parametrize("kind", CODERS)
def test_coders_have_the_asked_shapes_and_use_every_weight(kind, condition_size, key):
    encoder_config, decoder_config = CODERS[kind]
    keys = jax.random.split(key, 4)
    event_shape = (2, 9, 5)  # odd, and not square
    encoder = make_encoder(
        encoder_config, event_shape, condition_size=condition_size, out_size=6, key=keys[0]
    )
    decoder = make_decoder(decoder_config, 6, condition_size=condition_size, out_shape=(4, 9, 5), key=keys[1])
    x = jax.random.normal(keys[2], event_shape)
    condition = jax.random.normal(keys[3], (condition_size,)) if condition_size else None

    def total(networks, x):
        z = networks[0](x, condition)
        y = networks[1](z, condition)
        assert z.shape == (6,) and y.shape == (4, 9, 5)
        return jnp.sum(jnp.sin(y * jnp.arange(y.size).reshape(y.shape)))

    grads = eqx.filter_jit(eqx.filter_grad(total))((encoder, decoder), x)
    for path, grad in jax.tree_util.tree_leaves_with_path(grads):
        assert np.all(np.isfinite(grad)) and np.any(grad != 0), jax.tree_util.keystr(path)


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_condition_changes_the_output(kind, key):
    encoder = make_encoder(CODERS[kind][0], (1, 4, 4), condition_size=2, out_size=3, key=key)
    decoder = make_decoder(CODERS[kind][1], 3, condition_size=2, out_shape=(1, 4, 4), key=key)
    for network, value in ((encoder, jnp.ones((1, 4, 4))), (decoder, jnp.ones(3))):
        one, other = network(value, jnp.array([1.0, 0.0])), network(value, jnp.array([0.0, 1.0]))
        assert jnp.max(jnp.abs(one - other)) > 1e-3
        with pytest.raises(ValueError, match=r"takes a condition vector of shape \(2,\); got None"):
            network(value, None)
        with pytest.raises(ValueError, match=r"shape \(2,\); got \(3,\)"):
            network(value, jnp.ones(3))


@pytest.mark.parametrize("size", [(28, 28), (8, 8), (7, 5), (1, 6)])
def test_grid_coders_fit_any_image_size(size, key):
    encoder = make_grid_encoder(ConvEncoderConfig(channels=(4, 4)), (1, *size), out_channels=5, key=key)
    decoder = make_grid_decoder(
        ConvDecoderConfig(channels=(4, 4)), encoder.grid_shape, out_shape=(2, *size), key=key
    )
    grid = jax.eval_shape(encoder, jnp.zeros((1, *size)))
    assert grid.shape == encoder.grid_shape == (5, -(-size[0] // 4), -(-size[1] // 4))
    assert jax.eval_shape(decoder, grid).shape == (2, *size)


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_computes_in_the_weights_type_and_returns_the_inputs(kind, key):
    encoder = make_encoder(CODERS[kind][0], (1, 8, 8), out_size=3, key=key)
    decoder = make_decoder(CODERS[kind][1], 3, out_shape=(1, 8, 8), key=key)
    for network, value in ((encoder, jnp.ones((1, 8, 8))), (decoder, jnp.ones(3))):
        trainable, rest = partition_trainable(network)
        short = eqx.combine(cast_parameters(trainable, "bfloat16"), rest)
        exact, rounded = network(value), short(value)
        assert exact.dtype == rounded.dtype == jnp.float32
        error = jnp.max(jnp.abs(exact - rounded)) / jnp.max(jnp.abs(exact))
        assert 1e-5 < error < 0.1, "bfloat16 must be used, and be near"
        assert network(value.astype(jnp.bfloat16)).dtype == jnp.bfloat16
    assert encoder(jnp.ones((1, 8, 8), jnp.uint8)).dtype == jnp.float32


def test_stack_equals_its_layers_in_turn(key):
    stack = Stack(lambda key: linear(4, 4, key=key), 3, key=key)
    x = jax.random.normal(key, (4,))
    expected = x
    for i in range(3):
        expected = stack.layers.weight[i] @ expected + stack.layers.bias[i]
    np.testing.assert_allclose(stack(x), expected, rtol=1e-5)
    with pytest.raises(ValueError, match="at least 1"):
        Stack(lambda key: linear(4, 4, key=key), 0, key=key)


def test_mlp_equals_matrix_products(key):
    mlp = MLP(3, 2, hidden_sizes=(5, 5, 5, 4), activation="tanh", key=key)
    x = np.array([0.3, -1.0, 2.0])
    expected = np.tanh(np.asarray(mlp.hidden[0].weight) @ x)
    for weight in np.asarray(mlp.hidden[1].layers.weight):
        expected = np.tanh(weight @ expected)
    expected = np.asarray(mlp.out.weight) @ np.tanh(np.asarray(mlp.hidden[2].weight) @ expected)
    np.testing.assert_allclose(mlp(jnp.asarray(x, jnp.float32)), expected, rtol=1e-5, atol=1e-6)


def test_program_does_not_grow_with_depth(key):
    def program_size(depth):
        mlp = MLP(4, 2, hidden_sizes=(8,) * depth, key=key)
        encoder = make_encoder(
            ConvEncoderConfig(channels=(4,), num_blocks=depth), (1, 4, 4), out_size=2, key=key
        )
        text = eqx.filter_jit(lambda networks, x: (networks[0](x[0, 0]), networks[1](x)))
        return len(text.lower((mlp, encoder), jnp.ones((1, 4, 4))).as_text().splitlines())

    assert program_size(20) == program_size(5)


def test_initial_outputs_keep_the_scale_of_the_input(key):
    x_key, key = jax.random.split(key)
    x = jax.random.normal(x_key, (10, 10, 64))
    assert jnp.std(conv2d(64, 64, key=key)(x)[1:-1, 1:-1]) == pytest.approx(1.0, abs=0.05)
    assert jnp.std(jax.vmap(linear(64, 64, key=key))(x.reshape(100, 64))) == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("channels", [1, 2, 4, 6, 12, 32, 36])
def test_group_norm_never_erases_a_single_pixel(channels):
    x = jnp.arange(channels, dtype=jnp.float32)[None, None]
    y = group_norm(channels)(x)
    assert channels == 1 or jnp.ptp(y) > 1.0


def test_pixel_shuffle_against_loops():
    x = np.arange(8 * 2 * 3.0).reshape(8, 2, 3).astype(np.float32)
    expected = np.zeros((2, 4, 6), np.float32)
    for c, i, j, h, w in np.ndindex(2, 2, 2, 2, 3):
        expected[c, 2 * h + i, 2 * w + j] = x[4 * c + 2 * i + j, h, w]
    np.testing.assert_array_equal(pixel_shuffle(jnp.asarray(x)), expected)
    np.testing.assert_array_equal(channels_first(subpixels(channels_last(jnp.asarray(x)))), expected)


def test_condition_vector():
    labels, arrays = Labelled(num_classes=4), Labelled(condition_shape=(2, 2))
    assert condition_vector(Labelled(), None) is None
    np.testing.assert_array_equal(condition_vector(labels, jnp.asarray(2)), [0.0, 0.0, 1.0, 0.0])
    np.testing.assert_array_equal(condition_vector(arrays, jnp.arange(4).reshape(2, 2)), [0, 1, 2, 3])


def test_wrong_shapes_are_errors_with_the_fix(key):
    with pytest.raises(ConfigError, match=r"needs images .* got shape \(5,\)\. Use the `mlp` kind"):
        make_encoder(ConvEncoderConfig(), (5,), out_size=2, key=key)
    with pytest.raises(ConfigError, match="8x8 can be halved only 3 times"):
        make_decoder(ConvDecoderConfig(channels=(4, 4, 4, 4)), 2, out_shape=(1, 8, 8), key=key)
    with pytest.raises(ConfigError, match="equally many `channels`"):
        make_grid_decoder(ConvDecoderConfig(channels=(4,)), (4, 2, 2), out_shape=(1, 8, 8), key=key)
    decoder = make_grid_decoder(ConvDecoderConfig(channels=(4,)), (4, 3, 3), out_shape=(1, 5, 5), key=key)
    with pytest.raises(ValueError, match=r"takes a grid of shape \(4, 3, 3\); got \(4, 4, 4\)"):
        decoder(jnp.ones((4, 4, 4)))
    with pytest.raises(ValueError, match="must be odd"):
        conv2d(1, 1, kernel_size=4, key=key)
    assert level_sizes((3, 5, 8), 3) == [(5, 8), (3, 4), (2, 2), (1, 1)]
