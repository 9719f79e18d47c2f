"""The two forms of convolution agree with each other and with Equinox's layer."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.models.backbones.convolution import (
    Conv2d,
    GroupNorm,
    channels_last,
    convolution,
    cpu_convolution,
)
from artifex.generative_models.models.backbones.denoisers.unet_blocks import doubled, halved


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    ("size", "padding"), [(1, (0, 0)), (3, (1, 1)), (5, (2, 2)), (3, (0, 2))], ids=["1", "3", "5", "3-end"]
)
@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 7, 9), (4, 1, 2)])
def test_cpu_convolution_is_the_convolution(key, stride, size, padding, shape):
    """Values and gradients, for odd and even sides, any stride, and zeros all around or at the end alone."""
    x_key, weight_key = jax.random.split(key)
    x = jax.random.normal(x_key, shape)
    weight = jax.random.normal(weight_key, (6, shape[0], size, size))
    layer = eqx.nn.Conv2d(shape[0], 6, size, stride, (padding, padding), use_bias=False, key=key)
    layer = eqx.tree_at(lambda layer: layer.weight, layer, weight)
    expected = channels_last(layer(x))
    x = channels_last(x)
    np.testing.assert_allclose(convolution(x, weight, stride, padding), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(cpu_convolution(x, weight, stride, padding), expected, rtol=1e-5, atol=1e-5)
    ours, theirs = (
        jax.grad(lambda x, w, f=f: jnp.sum(jnp.sin(f(x, w, stride, padding))), argnums=(0, 1))(x, weight)
        for f in (cpu_convolution, convolution)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), ours, theirs)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3])
def test_layer_is_the_convolution_of_equinox(key, size, stride):
    """A kernel of one pixel too, which is a product of matrices."""
    x_key, layer_key = jax.random.split(key)
    x = jax.random.normal(x_key, (3, 6, 5))
    theirs = eqx.nn.Conv2d(3, 4, size, stride, size // 2, key=layer_key)
    ours = Conv2d(theirs.weight, theirs.bias[:, 0, 0], stride=stride)
    np.testing.assert_allclose(ours(channels_last(x)), channels_last(theirs(x)), rtol=1e-5, atol=1e-5)


def test_layer_adds_its_bias_and_checks_channels():
    """The bias is one number a channel; a wrong number of channels is an error."""
    layer = Conv2d(jnp.zeros((2, 3, 3, 3)), jnp.array([1.0, -2.0]))
    np.testing.assert_array_equal(layer(jnp.ones((4, 4, 3)))[0, 0], [1.0, -2.0])
    with pytest.raises(ValueError, match="takes 3 channels; got 2"):
        layer(jnp.ones((4, 4, 2)))


@pytest.mark.parametrize("stride", [1, 2])
def test_higher_derivatives_in_both_modes(key, stride):
    """Forward over reverse and reverse over reverse equal those of JAX's own convolution."""
    x_key, weight_key, dx_key, dw_key = jax.random.split(key, 4)
    x, dx = (jax.random.normal(k, (5, 6, 2)) for k in (x_key, dx_key))
    weight, dw = (jax.random.normal(k, (3, 2, 3, 3)) for k in (weight_key, dw_key))

    def derivatives(f):
        gradient = jax.grad(lambda x, w: jnp.sum(jnp.sin(f(x, w, stride))), argnums=(0, 1))
        _, forward = jax.jvp(gradient, (x, weight), (dx, dw))
        reverse = jax.grad(lambda x, w: sum(jnp.sum(g**2) for g in gradient(x, w)), argnums=(0, 1))(x, weight)
        return forward, reverse

    ours, theirs = jax.jit(lambda: [derivatives(f) for f in (cpu_convolution, convolution)])()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-3), ours, theirs)


@pytest.mark.parametrize("axes", [(0, None), (None, 0), (0, 0), (2, 3)])
def test_batches_of_images_and_of_kernels(key, axes):
    """`vmap` over either or both, on any axis, with gradients through it."""
    x_key, weight_key = jax.random.split(key)
    x, weight = jax.random.normal(x_key, (4, 5, 6, 2)), jax.random.normal(weight_key, (4, 3, 2, 3, 3))
    x = x[0] if axes[0] is None else jnp.moveaxis(x, 0, axes[0])
    weight = weight[0] if axes[1] is None else jnp.moveaxis(weight, 0, axes[1])

    def value_and_gradients(f):
        mapped = jax.vmap(lambda x, w: f(x, w, 2), in_axes=axes)

        def loss(x, w):
            return jnp.sum(jnp.sin(mapped(x, w)))

        return mapped(x, weight), jax.grad(loss, argnums=(0, 1))(x, weight)

    ours, theirs = jax.jit(lambda: [value_and_gradients(f) for f in (cpu_convolution, convolution)])()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), ours, theirs)


@pytest.mark.parametrize(("stride", "padding"), [(1, (1, 1)), (2, (1, 1)), (2, (0, 1))])
def test_a_kernel_of_one_row_is_the_convolution_of_a_sequence(stride, padding):
    """Sequences are grids of one row: against NumPy, by loops over the places."""
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(size=(2, 8)), rng.normal(size=(3, 2, 3)), rng.normal(size=3)
    wide = np.pad(x, ((0, 0), padding))
    places = range(0, wide.shape[1] - 2, stride)
    expected = np.stack([np.einsum("ock,ck->o", weight, wide[:, i : i + 3]) for i in places])
    layer = Conv2d(
        jnp.asarray(weight[:, :, None], jnp.float32), jnp.asarray(bias, jnp.float32), stride, padding
    )
    given = jnp.asarray(x.T[None], jnp.float32)
    np.testing.assert_allclose(layer(given)[0], expected + bias, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(
        convolution(given, layer.weight, stride, padding)[0], expected, rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("num_axes", [1, 2])
def test_halved_and_doubled(num_axes):
    """Means over pairs along each axis, which copies of the means do not change."""
    x = np.arange(24.0, dtype=np.float32).reshape(2, 6, 2)
    means = (x[:, ::2] + x[:, 1::2]) / 2
    means = means if num_axes == 1 else means.mean(axis=0, keepdims=True)
    np.testing.assert_allclose(halved(jnp.asarray(x), num_axes), means)
    twice = doubled(jnp.asarray(means), num_axes)
    assert twice.shape == x.shape
    np.testing.assert_allclose(halved(twice, num_axes), means)
    assert twice[0, 0, 0] == twice[0, 1, 0]


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_group_norm_is_equinoxs(key, groups):
    """Values and gradients, with other than the first weights, and channels far from zero."""
    x = 3.0 + jnp.arange(6.0)[:, None, None] + jax.random.normal(key, (6, 4, 5))
    weight, bias = jax.random.normal(key, (2, 6))
    theirs = eqx.nn.GroupNorm(groups, 6, eps=1e-3)
    ours = GroupNorm(groups, 6, eps=1e-3)
    ours, theirs = (
        eqx.tree_at(lambda norm: (norm.weight, norm.bias), norm, (weight, bias)) for norm in (ours, theirs)
    )
    np.testing.assert_allclose(ours(channels_last(x)), channels_last(theirs(x)), rtol=1e-4, atol=1e-5)
    gradients = (
        jax.grad(lambda x, f=f: jnp.sum(jnp.sin(f(x))))(x) for f in (lambda x: ours(channels_last(x)), theirs)
    )
    np.testing.assert_allclose(*gradients, rtol=1e-3, atol=1e-5)
    assert ours(channels_last(x).astype(jnp.bfloat16)).dtype == jnp.bfloat16
    with pytest.raises(ValueError, match="must divide 6 channels; got 4"):
        GroupNorm(4, 6)
