"""Attention: against loops in float64, where it runs, and what rotations and positions tell."""

import types

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.backbones.loops import attention_by_loops

from artifex.generative_models.models.backbones.attention import CrossAttention, attend, attention_kernel
from artifex.generative_models.models.backbones.denoisers.positions import (
    position_features,
    rotated,
    rotations,
)

pytestmark = pytest.mark.usefixtures("cheap_compilation")


@pytest.mark.parametrize("kernel", ["auto", "xla"])
def test_attention_against_loops(kernel):
    rng = np.random.default_rng(0)
    queries, keys, values = (jnp.asarray(rng.normal(size=(n, 2, 4)), jnp.float32) for n in (5, 3, 3))
    mixed = attend(queries, keys, values, kernel=kernel)
    np.testing.assert_allclose(mixed, attention_by_loops(queries, keys, values), atol=1e-6)


def test_softmax_is_computed_in_float32():
    """In bfloat16 the scores keep their digits: 256 and 257, which bfloat16 cannot tell apart, weigh 1 to e."""
    queries = jnp.asarray([[[256.0, 1.0]]], jnp.bfloat16)
    keys = jnp.asarray([[[2**0.5, 0.0]], [[2**0.5, 2**0.5]]], jnp.bfloat16)
    values = jnp.asarray([[[0.0, 0.0]], [[1.0, 0.0]]], jnp.bfloat16)
    mixed = attend(queries, keys, values)
    assert mixed.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(mixed)[0, 0, 0], np.e / (1 + np.e), rtol=0.01)


@pytest.mark.parametrize(
    ("platform", "capability", "dtype", "head_size", "kernel"),
    [
        ("gpu", "9.0", jnp.bfloat16, 64, "cudnn"),
        ("gpu", "8.0", jnp.float16, 128, "cudnn"),
        ("gpu", "9.0", jnp.float32, 64, "xla"),
        ("gpu", "9.0", jnp.bfloat16, 12, "xla"),
        ("gpu", "9.0", jnp.bfloat16, 256, "xla"),
        ("gpu", "7.5", jnp.bfloat16, 64, "xla"),
        ("gpu", "gfx942", jnp.bfloat16, 64, "xla"),
        ("cpu", None, jnp.bfloat16, 64, "xla"),
        ("tpu", None, jnp.bfloat16, 64, "xla"),
    ],
)
def test_the_fused_kernel_is_taken_where_it_runs(platform, capability, dtype, head_size, kernel):
    """CUDA devices since 8.0, 16 bits, heads of a multiple of 8 and at most 128."""
    device = types.SimpleNamespace(platform=platform)
    if capability is not None:
        device.compute_capability = capability
    assert attention_kernel(device, dtype, head_size) == kernel


def test_cross_attention_against_loops(key):
    """Queries of one sequence, keys and values of another with other features, in whatever order."""
    attention = CrossAttention(8, 3, 2, key=key)
    rng = np.random.default_rng(0)
    h, others = rng.normal(size=(5, 8)), rng.normal(size=(4, 3))
    queries = h @ np.float64(attention.queries.weight).T
    keys, values = np.split(others @ np.float64(attention.keys_values.weight).T, 2, axis=1)
    mixed = attention_by_loops(*(a.reshape(len(a), 2, 4) for a in (queries, keys, values))).reshape(5, 8)
    expected = mixed @ np.float64(attention.out.weight).T
    apply = eqx.filter_jit(attention)
    h, others = jnp.asarray(h, jnp.float32), jnp.asarray(others, jnp.float32)
    np.testing.assert_allclose(apply(h, others), expected, atol=1e-5)
    np.testing.assert_allclose(apply(h, others[::-1]), expected, atol=1e-5)


# Positions


def test_features_tell_all_tokens_apart_and_only_through_their_distance():
    """Distinct features for each token, whose products depend on the difference of the places alone."""
    features = position_features(3, 5, 16).reshape(3, 5, 16)
    products = np.einsum("abf,cdf->abcd", features, features)
    np.testing.assert_allclose(products[0, 0, 1, 2], products[1, 2, 2, 4], rtol=1e-5)
    np.testing.assert_allclose(np.einsum("aabb->ab", np.einsum("abcd->acbd", products)), 8.0, rtol=1e-5)
    others = products.reshape(15, 15)[~np.eye(15, dtype=bool)]
    assert others.max() < 8.0 - 0.1
    # Columns come first: tokens of one column share the first half.
    np.testing.assert_array_equal(features[0, :, :8], features[2, :, :8])


def test_rotated_scores_depend_on_the_relative_place_alone():
    """One query and one key at all places of a grid: equal scores for equal differences, and no others."""
    rng = np.random.default_rng(0)
    query, key = rng.normal(size=(2, 8))
    turns = rotations(3, 4, 8)
    queries, keys = (
        np.asarray(rotated(jnp.asarray(np.tile(one, (12, 1, 1)), jnp.float32), turns))[:, 0]
        for one in (query, key)
    )
    scores = (queries @ keys.T).reshape(3, 4, 3, 4)
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), np.linalg.norm(query), rtol=1e-6)
    np.testing.assert_allclose(np.einsum("abab->ab", scores), query @ key, rtol=1e-4)
    by_difference = {}
    for a, b, c, d in np.ndindex(3, 4, 3, 4):
        by_difference.setdefault((c - a, d - b), []).append(scores[a, b, c, d])
    for values in by_difference.values():
        np.testing.assert_allclose(values, values[0], rtol=1e-4, atol=1e-5)
    distinct = np.sort([values[0] for values in by_difference.values()])
    assert len(distinct) == 5 * 7
    assert np.diff(distinct).min() > 1e-5


def test_rotations_are_complex_products():
    """Pairs as complex numbers times exp(i angle): columns turn the first half of the pairs, rows the second."""
    h = np.random.default_rng(0).normal(size=(6, 1, 8))
    frequencies = np.array([1.0, 0.01])
    places = [(column, row) for row in range(2) for column in range(3)]
    angles = np.array([np.concatenate([column * frequencies, row * frequencies]) for column, row in places])
    turned = (h[..., :4] + 1j * h[..., 4:]) * np.exp(1j * angles)[:, None]
    expected = np.concatenate([turned.real, turned.imag], axis=2)
    result = jax.jit(lambda h: rotated(h, rotations(2, 3, 8)))(jnp.asarray(h, jnp.float32))
    np.testing.assert_allclose(result, expected, atol=1e-6)
