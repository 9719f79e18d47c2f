"""Random numbers that networks begin with."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from artifex.generative_models.models.backbones import weights
from artifex.generative_models.models.backbones.layers import linear
from artifex.generative_models.models.backbones.stack import Stack
from artifex.generative_models.models.backbones.weights import (
    normal_weights,
    truncated_normal_weights,
    uniform_weights,
)

DRAWS = {
    # Cut off at two deviations of the normal before it was cut.
    truncated_normal_weights: scipy.stats.truncnorm(
        -2.0, 2.0, scale=3.0 / scipy.stats.truncnorm(-2, 2).std()
    ),
    normal_weights: scipy.stats.norm(scale=3.0),
    uniform_weights: scipy.stats.uniform(-3.0, 6.0),
}


@pytest.mark.parametrize("draw", DRAWS, ids=lambda draw: draw.__name__)
def test_distribution(key, draw):
    """Against SciPy's distribution, over more than three pieces; no piece comes twice."""
    numbers = np.asarray(draw((5, 10_001), 3.0, key=key)).ravel()
    assert scipy.stats.kstest(numbers, DRAWS[draw].cdf).pvalue > 0.01
    assert len(np.unique(numbers)) > 0.99 * len(numbers)


@pytest.mark.parametrize("draw", DRAWS, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("shape", [(), (7,), (3, 50, 3, 3), (20_000,)], ids=str)
def test_the_same_numbers_in_traced_code(key, draw, shape):
    """Under `jit`, over keys with `vmap`, and with a known key inside of `jit`, to rounding."""
    expected = draw(shape, 0.5, key=key)
    assert expected.shape == shape
    traced = [
        jax.jit(lambda key: draw(shape, 0.5, key=key))(key),
        jax.jit(lambda: draw(shape, 0.5, key=key))(),
        jax.vmap(lambda key: draw(shape, 0.5, key=key))(key[None])[0],
    ]
    for found in traced:
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_no_compilation_for_each_shape(key):
    """Shapes share one program of each kind of draw."""
    normal_weights((3,), key=key)
    before = weights._piece._cache_size()
    for size in range(100, 120):
        normal_weights((size, 3), key=key)
    assert weights._piece._cache_size() == before


def test_stack_is_the_same_in_traced_code(key):
    """Layers made one by one, or in one vmapped call inside of `jit`."""

    def make(key):
        return Stack(lambda key: linear(4, 4, key=key), 3, key=key)

    ours, traced = make(key), eqx.filter_jit(make)(key)
    assert eqx.tree_equal(ours, traced, rtol=1e-5, atol=1e-7)
    assert ours.layers.weight.shape == (3, 4, 4)
    assert not jnp.array_equal(ours.layers.weight[0], ours.layers.weight[1])
    assert math.isclose(float(jnp.std(ours.layers.weight)), 0.5, rel_tol=0.3)
