"""MM-DiT: its block in float64, and which stream sees which."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.backbones.loops import attention_by_loops
from tests.models.backbones.networks import filled

from artifex.generative_models.core.configuration import MMDiTConfig
from artifex.generative_models.models.backbones.denoisers.mm_dit import MMDiTBlock

pytestmark = pytest.mark.usefixtures("cheap_compilation")
SIZE, HEADS = 8, 2


def block_of(*, is_last, has_qk_norm=True):
    """A block with random weights."""
    config = MMDiTConfig(
        hidden_size=SIZE, num_layers=2, num_heads=HEADS, condition_tokens=(3, 2), has_qk_norm=has_qk_norm
    )
    structure = eqx.filter_eval_shape(
        lambda key: MMDiTBlock(config, is_last=is_last, key=key), jax.random.key(0)
    )
    return filled(structure)


def affine(layer, x):
    return x @ np.float64(layer.weight).T + np.float64(layer.bias)


def norm(h):
    return (h - h.mean(axis=1, keepdims=True)) / np.sqrt(h.var(axis=1, keepdims=True) + 1e-6)


def unit(h, scale):
    return (
        h if scale is None else h / np.sqrt(np.mean(h**2, axis=2, keepdims=True) + 1e-6) * np.float64(scale)
    )


def block_by_hand(block, streams, embedding):
    """The block as the paper's figure 2 has it, in float64."""
    parts = []
    for stream, h in zip((block.tokens_in, block.patches_in), streams, strict=True):
        modulation = affine(stream.modulation, embedding).reshape(-1, SIZE)
        projected = affine(stream.qkv, norm(h) * (1 + modulation[1]) + modulation[0])
        *q, k, v = projected.reshape(len(h), -1, HEADS, SIZE // HEADS).swapaxes(0, 1)
        q = unit(q[0], stream.query_scale) if q else k[:0]
        parts.append((q, unit(k, stream.key_scale), v, modulation[2:]))
    mixed = attention_by_loops(*(np.concatenate([parts[0][i], parts[1][i]]) for i in range(3)))
    num, results = len(mixed) - len(streams[1]), []
    pieces = (mixed[:num], mixed[num:])
    rest = zip((block.tokens_out, block.patches_out), streams, pieces, parts, strict=True)
    for out, h, piece, (*_, modulation) in rest:
        if out is not None:
            gate1, shift2, scale2, gate2 = modulation
            h = h + gate1 * affine(out.project, piece.reshape(len(piece), SIZE))
            expanded = affine(out.expand, norm(h) * (1 + scale2) + shift2)
            gelu = 0.5 * expanded * (1 + np.tanh(np.sqrt(2 / np.pi) * (expanded + 0.044715 * expanded**3)))
            h = h + gate2 * affine(out.contract, gelu)
        results.append(h)
    return results


@pytest.mark.parametrize(("is_last", "has_qk_norm"), [(False, True), (True, False)])
def test_block_against_float64(is_last, has_qk_norm):
    """Attention over the tokens of both streams at once, all else by stream; the last block leaves tokens alone."""
    block = block_of(is_last=is_last, has_qk_norm=has_qk_norm)
    rng = np.random.default_rng(0)
    tokens, patches, embedding = rng.normal(size=(3, SIZE)), rng.normal(size=(5, SIZE)), rng.normal(size=SIZE)
    expected = block_by_hand(block, (tokens, patches), embedding)
    given = (jnp.asarray(tokens, jnp.float32), jnp.asarray(patches, jnp.float32))
    result = eqx.filter_jit(block)(given, jnp.asarray(embedding, jnp.float32))
    for ours, wanted in zip(result, expected, strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-4, atol=1e-5)
    assert np.array_equal(result[0], given[0]) == is_last
    assert np.abs(expected[1] - patches).max() > 0.1


def test_normalised_queries_and_keys_bound_the_scores():
    """However large its inputs, a head's queries have the root mean square of their factor."""
    stream = block_of(is_last=False).patches_in
    big = eqx.tree_at(
        lambda s: (s.qkv.weight, s.query_scale), stream, (1e4 * stream.qkv.weight, jnp.full(4, 2.0))
    )
    (queries, _, _), _ = eqx.filter_jit(big)(jnp.asarray(np.eye(5, SIZE), jnp.float32), jnp.ones(SIZE))
    np.testing.assert_allclose(np.sqrt(np.mean(queries**2, axis=2)), 2.0, rtol=1e-4)
