"""Coupling and autoregressive layers: what depends on what, and how the sequential direction is computed."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.backbones.bijections.table import TRANSFORMERS

from artifex.generative_models.core.configuration import (
    ConfigError,
    CouplingLayerConfig,
    MaskedAutoregressiveConfig,
)
from artifex.generative_models.models.backbones.bijections import Coupling, MaskedAutoregressive
from artifex.generative_models.models.backbones.bijections.masked_mlp import MaskedMLP

pytestmark = pytest.mark.usefixtures("cheap_compilation")

# Entries, hidden units, hidden layers, length of the condition: fewer units than entries, as many, and more.
SIZES = [
    (1, 4, 1, 0),
    (1, 2, 2, 2),
    (2, 1, 2, 0),
    (5, 2, 2, 0),
    (5, 4, 1, 0),
    (5, 4, 2, 2),
    (5, 13, 3, 0),
    (6, 6, 3, 2),
]


@pytest.mark.parametrize(("size", "hidden_size", "num_layers", "condition_size"), SIZES)
def test_dependency_matrix(size, hidden_size, num_layers, condition_size, key):
    """Strictly lower triangular, and full below the diagonal; with a condition, every output depends on it."""
    network = MaskedMLP(
        size,
        3,
        hidden_size=hidden_size,
        num_layers=num_layers,
        activation="softplus",
        condition_size=condition_size,
        key=key,
    )
    x = jax.random.normal(key, (size,))
    condition = jnp.ones(condition_size) if condition_size else None
    jacobian, by_condition = jax.jit(jax.jacrev(network, (0, 1)))(x, condition)
    depends = np.abs(jacobian) > 0
    np.testing.assert_array_equal(depends, np.broadcast_to(np.tri(size, k=-1, dtype=bool), depends.shape))
    if condition is not None:
        assert np.all(np.abs(by_condition) > 0)


@pytest.mark.parametrize("order", [None, (3, 1, 0, 2)])
def test_dependency_matrix_of_the_layer(order, key):
    """In the layer's order its Jacobian is lower triangular and full, and so is that of the inverse."""
    config = MaskedAutoregressiveConfig(hidden_size=8, order=order)
    layer = MaskedAutoregressive(config, (4,), key=key)
    places = np.arange(4) if order is None else np.asarray(order)
    for function in (layer.forward, layer.inverse):
        jacobian = jax.jit(jax.jacrev(function))(jnp.array([0.3, -0.4, 1.0, 0.7]))[places][:, places]
        np.testing.assert_array_equal(np.abs(jacobian) > 0, np.tri(4, dtype=bool))


@pytest.mark.parametrize(("size", "hidden_size", "num_layers"), [(7, 17, 3), (7, 3, 2), (7, 7, 1)])
def test_entry_by_entry_is_one_pass(size, hidden_size, num_layers, key):
    """The loop sees the outputs that a pass makes of its result."""
    network = MaskedMLP(
        size,
        2,
        hidden_size=hidden_size,
        num_layers=num_layers,
        activation="softplus",
        condition_size=1,
        key=key,
    )
    condition = jnp.ones(1)
    ys = jax.random.normal(key, (size,))

    @jax.jit
    def both(ys):
        x, seen = network.entry_by_entry(lambda y, outputs: (y + outputs[0], outputs[1]), ys, condition)
        return x, seen, network(x, condition)

    x, seen, outputs = both(ys)
    np.testing.assert_allclose(x, ys + outputs[0], rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(seen, outputs[1], rtol=1e-5, atol=1e-6)


def test_the_loop_is_compiled_once(key):
    """The program of the inverse does not grow with the number of entries."""
    programs = []
    for size in (4, 32):
        layer = MaskedAutoregressive(MaskedAutoregressiveConfig(hidden_size=64), (size,), key=key)
        programs.append(jax.make_jaxpr(layer.inverse)(jnp.zeros(size)))
    counts = [sum(1 for _ in program.eqns) for program in programs]
    assert counts[0] == counts[1]


def test_a_layer_starts_near_the_identity(key):
    """A new coupling layer changes little."""
    x = jax.random.normal(key, (6,))
    for name in ("affine", "rational_quadratic_spline"):
        layer = Coupling(CouplingLayerConfig(transformer=TRANSFORMERS[name], hidden_size=8), (6,), key=key)
        assert np.abs(eqx.filter_jit(layer.forward)(x) - x).max() < 0.5


@pytest.mark.parametrize(("mask", "size"), [("first", 5), ("last", 4), ("even", 5), ("odd", 2), ("odd", 5)])
def test_coupling_keeps_what_is_not_mapped(mask, size, key):
    """Kept entries come out as they went in; the two halves, and even and odd places, make up a whole."""
    layer = Coupling(CouplingLayerConfig(mask=mask, hidden_size=4, num_layers=1), (size,), key=key)
    x = jax.random.normal(key, (size,))
    changed = np.asarray(eqx.filter_jit(layer.forward)(x) != x)
    np.testing.assert_array_equal(changed, layer.mask)
    other = {"first": "last", "last": "first", "even": "odd", "odd": "even"}[mask]
    opposite = Coupling(CouplingLayerConfig(mask=other, hidden_size=4, num_layers=1), (size,), key=key)
    np.testing.assert_array_equal(opposite.mask, ~changed)


def test_masks_and_orders_that_are_none(key):
    """A mask that maps nothing or all, or is too long; an order that is no permutation, or too short."""
    for mask in ((True, True), (False, False)):
        with pytest.raises(ValueError, match="must map some entries and keep others"):
            Coupling(CouplingLayerConfig(mask=mask), (2,), key=key)
    with pytest.raises(ValueError, match="must map some entries and keep others"):
        Coupling(CouplingLayerConfig(mask="last"), (1,), key=key)
    with pytest.raises(ValueError, match="a flag for each of 3 entries; got 2"):
        Coupling(CouplingLayerConfig(mask=(True, False)), (3,), key=key)
    with pytest.raises(ConfigError, match="hold each place from 0 to 2 once"):
        MaskedAutoregressiveConfig(order=(0, 0, 2))
    with pytest.raises(ValueError, match="each of 3 places"):
        MaskedAutoregressive(MaskedAutoregressiveConfig(order=(1, 0)), (3,), key=key)
