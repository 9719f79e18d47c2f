"""Causal transformer: what sees what, the cache, and depth without compile time."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.models.backbones import CausalAttention, CausalTransformer


def test_output_depends_on_exactly_the_positions_so_far(key):
    """The dependency matrix, by autodiff, is lower triangular with nothing missing in it."""
    transformer = CausalTransformer(8, 2, 2, key=key)
    x = jax.random.normal(key, (5, 8))
    jacobian = jax.jit(jax.jacobian(transformer))(x)
    depends = np.any(np.asarray(jacobian) != 0, axis=(1, 3))
    np.testing.assert_array_equal(depends, np.tri(5, dtype=bool))


def test_attention_against_loops(key):
    """One head at a time, one position at a time, in NumPy."""
    attention = CausalAttention(6, 2, key=key)
    x = np.asarray(jax.random.normal(key, (4, 6)))
    q, k, v = np.split(x @ np.asarray(attention.qkv.weight).T, 3, axis=1)
    mixed = np.zeros((4, 6))
    for head in (slice(0, 3), slice(3, 6)):
        for t in range(4):
            scores = k[: t + 1, head] @ q[t, head] / np.sqrt(3)
            weights = np.exp(scores - scores.max())
            mixed[t, head] = (weights / weights.sum()) @ v[: t + 1, head]
    expected = mixed @ np.asarray(attention.out.weight).T
    np.testing.assert_allclose(attention(jnp.asarray(x)), expected, atol=1e-5)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_steps_with_a_cache_equal_the_whole_sequence(key, precision):
    transformer = CausalTransformer(8, 2, 2, key=key)
    transformer = jax.tree.map(
        lambda leaf: leaf.astype(precision) if eqx.is_inexact_array(leaf) else leaf, transformer
    )
    x = jax.random.normal(key, (5, 8))

    @eqx.filter_jit
    def both(transformer, x):
        def step(cache, inputs):
            y, cache = transformer.step(inputs[1], cache, inputs[0])
            return cache, y

        return transformer(x), jax.lax.scan(step, transformer.empty_cache(5), (jnp.arange(5), x))[1]

    whole, steps = both(transformer, x)
    assert whole.dtype == steps.dtype == jnp.float32
    np.testing.assert_allclose(steps, whole, atol=1e-5 if precision == "float32" else 0.05)


def test_program_does_not_grow_with_depth(key):
    def program_size(num_layers):
        transformer = CausalTransformer(8, num_layers, 2, key=key)
        lowered = eqx.filter_jit(lambda transformer, x: transformer(x)).lower(transformer, jnp.ones((3, 8)))
        return len(lowered.as_text().splitlines())

    assert program_size(8) == program_size(2)


def test_heads_must_divide_the_width(key):
    with pytest.raises(ValueError, match="`num_heads` must divide `hidden_size`; got 3 and 8"):
        CausalAttention(8, 3, key=key)
