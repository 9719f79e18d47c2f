"""Chains, inverses, scans, and the initialisation of ActNorm that walks through them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.backbones.bijections.table import SHAPE

from artifex.generative_models.core.configuration import CouplingLayerConfig
from artifex.generative_models.models.backbones.bijections import (
    ActNorm,
    Affine,
    Chain,
    Coupling,
    Inverted,
    LeakyReLU,
    LeakyTanh,
    LULinear,
    Permutation,
    Reverse,
    ScannedBijection,
    Sigmoid,
    initialized,
)

pytestmark = pytest.mark.usefixtures("cheap_compilation")


def layer(key):
    """A rotated ActNorm."""
    return Chain([LULinear(SHAPE, scale=1.0, key=key), ActNorm(SHAPE)])


def test_initialized_standardises_the_batch(key):
    """Whatever the layers between: what each ActNorm hands on to the latent has mean 0 and variance 1."""
    parts = [LeakyReLU(SHAPE), ActNorm(SHAPE), Inverted(layer(key)), ScannedBijection(layer, 3, key=key)]
    x = 3.0 * jax.random.normal(key, (64, *SHAPE)) ** 2 - 1.0
    flow = eqx.filter_jit(initialized)(Chain([*parts, ActNorm(SHAPE)]), x)
    for index in (1, 4):  # the tail of the chain that begins with an ActNorm
        latents = jax.jit(jax.vmap(Chain(flow.bijections[index:]).inverse))(x)
        np.testing.assert_allclose(latents.mean(0), 0.0, atol=1e-4)
        np.testing.assert_allclose(latents.std(0), 1.0, atol=1e-4)
    # Inside of the scan, each layer normalises what the one after it hands on.
    scanned = flow.bijections[3]
    h = jax.vmap(flow.bijections[4].inverse)(x)
    for depth in reversed(range(3)):
        part = jax.tree.map(
            lambda leaf, depth=depth: leaf[depth], eqx.filter(scanned.stack.layers, eqx.is_array)
        )
        part = eqx.combine(part, scanned.stack.layers)
        normed = jax.vmap(part.bijections[1].inverse)(h)
        np.testing.assert_allclose(normed.mean(0), 0.0, atol=1e-4)
        np.testing.assert_allclose(normed.std(0), 1.0, atol=1e-4)
        h = jax.vmap(part.inverse)(h)


def test_initialized_by_channel_and_for_constants(key):
    """An image has one scale for a channel; a channel that does not vary keeps the scale 1."""
    x = jax.random.normal(key, (8, 2, 3, 3)) * jnp.array([5.0, 0.0]).reshape(1, 2, 1, 1) + 2.0
    norm = eqx.filter_jit(initialized)(ActNorm((2, 3, 3)), x)
    latents = jax.vmap(norm.inverse)(x)
    np.testing.assert_allclose(latents.mean((0, 2, 3)), 0.0, atol=1e-5)
    np.testing.assert_allclose(latents.std((0, 2, 3)), [1.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(norm.log_scale.ravel()[1], 0.0)
    with pytest.raises(ValueError, match="at least two examples"):
        initialized(norm, x[:1])


def test_initialized_with_a_condition(key):
    """Conditional layers on the way from data to latent see the condition of each example."""
    coupling = Coupling(CouplingLayerConfig(hidden_size=4, num_layers=1), SHAPE, condition_size=2, key=key)
    coupling = jax.tree.map(lambda leaf: 3.0 * leaf, coupling)
    x_key, condition_key = jax.random.split(key)
    x = jax.random.normal(x_key, (64, *SHAPE))
    condition = 2.0 * jax.random.normal(condition_key, (64, 2))
    flow = eqx.filter_jit(initialized)(Chain([ActNorm(SHAPE), coupling]), x, condition)
    latents = jax.jit(jax.vmap(flow.inverse))(x, condition)
    np.testing.assert_allclose(latents.mean(0), 0.0, atol=1e-4)
    np.testing.assert_allclose(latents.std(0), 1.0, atol=1e-4)


def test_a_scan_is_its_layers_in_turn(key):
    """The same numbers as the layers one by one, and a program as long whatever their number."""
    scanned = ScannedBijection(layer, 4, key=key)
    x = jax.random.normal(key, SHAPE)
    one_by_one = Chain([layer(key) for key in jax.random.split(key, 4)])
    np.testing.assert_allclose(scanned.forward(x), one_by_one.forward(x), rtol=1e-5)
    np.testing.assert_allclose(scanned.inverse(x), one_by_one.inverse(x), rtol=1e-5)
    deep = ScannedBijection(layer, 32, key=key)
    programs = [jax.make_jaxpr(flow.forward_and_log_det)(x) for flow in (scanned, deep)]
    assert len(str(programs[1]).splitlines()) == len(str(programs[0]).splitlines())


def test_float32_sums_of_short_types():
    """A log-determinant of an example in bfloat16 is not rounded to three digits."""
    y, log_det = Affine((300,), scale=1.01).forward_and_log_det(jnp.ones(300, jnp.bfloat16))
    assert y.dtype == jnp.bfloat16
    np.testing.assert_allclose(log_det, 300 * np.log(1.01), rtol=1e-6)


def test_what_does_not_fit(key):
    """Shapes in a chain, no parts, no permutation, no inverse."""
    with pytest.raises(ValueError, match="returns shape"):
        Chain([Sigmoid((2,)), Sigmoid((3,))])
    with pytest.raises(ValueError, match="at least one"):
        Chain([])
    with pytest.raises(ValueError, match="each of 0 to 2 once"):
        Permutation(np.array([0, 0, 2]))
    with pytest.raises(ValueError, match="`slope` must be positive"):
        LeakyReLU(SHAPE, slope=0.0)
    with pytest.raises(ValueError, match="`limit` must be positive"):
        LeakyTanh(SHAPE, limit=0.0)
    with pytest.raises(ValueError, match="needs an axis"):
        Reverse(())
    with pytest.raises(ValueError, match="share one condition"):
        configs = CouplingLayerConfig(hidden_size=2, num_layers=1)
        Chain([Coupling(configs, SHAPE, condition_size=size, key=key) for size in (1, 2)])
    with pytest.raises(ValueError, match="`scale` must be positive"):
        Affine(SHAPE, scale=-1.0)
    with pytest.raises(ValueError, match="maps vectors"):
        LULinear((2, 2), key=key)
