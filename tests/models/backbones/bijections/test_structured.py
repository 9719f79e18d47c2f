"""Layers of sequences, sets and patches: what depends on what, what an order changes, and where pixels go."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.backbones.bijections.table import ROWS, random_bijection

from artifex.generative_models.core.configuration import (
    ChainConfig,
    ConfigError,
    ReverseConfig,
    ScannedConfig,
    SetCouplingConfig,
    TransformerAutoregressiveConfig,
)
from artifex.generative_models.models.backbones.bijections import (
    PatchesToImage,
    Reshape,
    Reverse,
    SetCoupling,
    TransformerAutoregressive,
    make_bijection,
)

pytestmark = pytest.mark.usefixtures("cheap_compilation")

CONDITION = jnp.array([0.5, -1.0])


@pytest.fixture(scope="module")
def autoregressive():
    """At random parameters, for 4 vectors of 2 numbers, with a condition of 2."""
    return random_bijection(ROWS["transformer_autoregressive"], jax.random.key(3))


@pytest.fixture(scope="module")
def coupling():
    """At random parameters, for 4 elements of 3 numbers, of which the first is mapped."""
    return random_bijection(ROWS["set_coupling"], jax.random.key(3))


def test_a_vector_depends_on_those_before_it(autoregressive, key):
    """On all of their numbers, in both directions, and entry by entry on itself."""
    x = jax.random.normal(key, (4, 2))

    @jax.jit
    def jacobians(x):
        return [
            jax.jacfwd(lambda x, f=f: f(x, CONDITION))(x)
            for f in (autoregressive.forward, autoregressive.inverse)
        ]

    for jacobian in jacobians(x):
        depends = np.abs(np.asarray(jacobian)) > 0
        for t in range(4):
            for s in range(4):
                wanted = np.eye(2, dtype=bool) if s == t else np.full((2, 2), s < t)
                np.testing.assert_array_equal(depends[t, :, s], wanted)


def test_guidance_mixes_parameters(autoregressive, key):
    """Against a loop over the vectors that makes each from whole passes over those before it, one a condition."""
    x = jax.random.normal(key, (4, 2))
    conditions, weights = jnp.stack([CONDITION, -CONDITION]), jnp.array([2.5, -1.5])

    bound = autoregressive.transformer.max_log_scale

    def parameters(y, t, condition):
        # The inverse is (y - shift) / scale: its values at 0 and 1 give both.
        def inverse(row):
            return autoregressive.inverse(y.at[t].set(row), condition)[t]

        at_zero, at_one = inverse(jnp.zeros(2)), inverse(jnp.ones(2))
        log_scale = -jnp.log(at_one - at_zero)
        return jnp.stack([-at_zero * jnp.exp(log_scale), bound * jnp.arctanh(log_scale / bound)])

    def step(t, y):
        mixed = weights @ jax.vmap(lambda condition: parameters(y, t, condition))(conditions).reshape(2, -1)
        shift, raw = mixed.reshape(2, -1)
        return y.at[t].set(jnp.exp(bound * jnp.tanh(raw / bound)) * x[t] + shift)

    @jax.jit
    def loop(x):
        y = jax.lax.fori_loop(0, len(x), step, jnp.zeros_like(x))
        return y, autoregressive.guided_forward(x, conditions, weights)

    wanted, guided = loop(x)
    np.testing.assert_allclose(guided, wanted, rtol=1e-3, atol=1e-3)


def test_one_weight_is_no_guidance(autoregressive, key):
    """The whole weight on one condition gives what that condition gives."""
    x = jax.random.normal(key, (4, 2))
    guided = autoregressive.guided_forward(x, jnp.stack([CONDITION, -CONDITION]), jnp.array([0.0, 1.0]))
    np.testing.assert_allclose(guided, autoregressive.forward(x, -CONDITION), rtol=1e-5, atol=1e-5)


def test_elements_have_no_order(coupling, key):
    """Permuted in, permuted out; and what is mapped depends on the other features of all elements."""
    x = jax.random.normal(key, (4, 3))
    order = np.array([2, 0, 3, 1])

    @jax.jit
    def computed(x):
        return (*coupling.forward_and_log_det(x, CONDITION), coupling.inverse(x, CONDITION))

    y, log_det, back = computed(x)
    permuted = computed(x[order])
    for actual, wanted in zip(permuted, (y[order], log_det, back[order]), strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-5, atol=1e-5)
    jacobian = np.asarray(jax.jit(jax.jacfwd(lambda x: coupling.forward(x, CONDITION)))(x))
    np.testing.assert_array_equal(np.abs(jacobian[:, 0, :, 1:]) > 0, True)
    np.testing.assert_array_equal(jacobian[:, 0, :, 0] != 0, np.eye(4, dtype=bool))
    np.testing.assert_array_equal(jacobian[:, 1:, :, :1], 0.0)


def test_patches_are_where_they_belong():
    """Row by row, against explicit indices."""
    image = np.arange(2 * 4 * 6.0).reshape(2, 4, 6)
    patches = PatchesToImage((2, 4, 6), 2)
    tokens = patches.inverse(jnp.asarray(image))
    assert tokens.shape == patches.event_shape == (6, 8)
    for row in range(2):
        for column in range(3):
            block = image[:, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            np.testing.assert_array_equal(tokens[3 * row + column], block.ravel())
    np.testing.assert_array_equal(patches.forward(tokens), image)


def test_compiled_size_is_flat_in_both_depths(key):
    """More flow layers, or more blocks in each, make no longer program, in either direction."""

    def program_size(num_layers, num_blocks):
        layer = TransformerAutoregressiveConfig(hidden_size=8, num_layers=num_blocks, num_heads=2)
        pair = ChainConfig(layers=(layer, ReverseConfig(axis=0)))
        config = ScannedConfig(layer=pair, num_layers=num_layers)

        def lowered(direction):
            def run(key, x):
                return getattr(make_bijection(config, (3, 2), key=key), direction)(x)

            return jax.jit(run).lower(key, jnp.ones((3, 2))).as_text()

        return np.array(
            [len(lowered(name).splitlines()) for name in ("forward_and_log_det", "inverse_and_log_det")]
        )

    assert np.all(program_size(8, 6) < 1.01 * program_size(2, 2))


def test_what_does_not_fit(key):
    """Shapes, masks, heads and axes."""
    with pytest.raises(ValueError, match=r"sequences of vectors, .*; got \(3,\)"):
        TransformerAutoregressive(TransformerAutoregressiveConfig(), (3,), key=key)
    with pytest.raises(ValueError, match=r"sets of vectors, .*; got \(3,\)"):
        SetCoupling(SetCouplingConfig(), (3,), key=key)
    with pytest.raises(ValueError, match="must map some entries and keep others"):
        SetCoupling(SetCouplingConfig(), (3, 1), key=key)
    with pytest.raises(ConfigError, match="`num_heads` must divide `hidden_size`; got 3 and 64"):
        SetCouplingConfig(num_heads=3)
    with pytest.raises(ValueError, match="keeps the number of entries"):
        Reshape((2, 3), (5,))
    with pytest.raises(ValueError, match="sides that the patch size divides"):
        PatchesToImage((1, 4, 5), 2)
    with pytest.raises(ValueError, match="needs an axis"):
        Reverse((3,), axis=1)
