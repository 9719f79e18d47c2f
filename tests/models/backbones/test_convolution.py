"""The two forms of convolution agree with each other and with Equinox's layer."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.models.backbones.convolution import Conv2d, convolution, shifted_products


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [1, 3, 5])
@pytest.mark.parametrize("shape", [(3, 8, 8), (2, 7, 9), (4, 1, 2)])
def test_shifted_products_are_the_convolution(key, stride, size, shape):
    """Values and gradients, for odd and even sides and any stride."""
    x_key, weight_key = jax.random.split(key)
    x = jax.random.normal(x_key, shape)
    weight = jax.random.normal(weight_key, (6, shape[0], size, size))
    layer = eqx.nn.Conv2d(shape[0], 6, size, stride, size // 2, use_bias=False, key=key)
    layer = eqx.tree_at(lambda layer: layer.weight, layer, weight)
    expected = layer(x)
    np.testing.assert_allclose(convolution(x, weight, stride), expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(shifted_products(x, weight, stride), expected, rtol=1e-5, atol=1e-5)
    ours, theirs = (
        jax.grad(lambda x, w, f=f: jnp.sum(jnp.sin(f(x, w, stride))), argnums=(0, 1))(x, weight)
        for f in (shifted_products, convolution)
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4), ours, theirs)


def test_layer_adds_its_bias_and_checks_channels():
    """The bias is one number a channel; a wrong number of channels is an error."""
    layer = Conv2d(jnp.zeros((2, 3, 3, 3)), jnp.array([1.0, -2.0]))
    np.testing.assert_array_equal(layer(jnp.ones((3, 4, 4)))[:, 0, 0], [1.0, -2.0])
    with pytest.raises(ValueError, match="takes 3 channels; got 2"):
        layer(jnp.ones((2, 4, 4)))
