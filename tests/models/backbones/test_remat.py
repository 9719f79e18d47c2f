"""Rematerialisation: the same numbers, less kept for the backward pass."""

import dataclasses

import equinox as eqx
import jax
import numpy as np
import pytest
from tests.models.backbones.networks import NETWORKS, filled, inputs_of, outputs_and_gradient, shapes_of

pytestmark = pytest.mark.usefixtures("cheap_compilation")
NAMES = ["unet_tokens", "dit_tokens", "u_vit", "mm_dit"]


def with_remat(row, remat, **changes):
    return dataclasses.replace(row, config=row.config.replace(remat=remat, **changes))


@pytest.mark.parametrize("name", NAMES)
def test_values_and_gradients_stay(name):
    row = NETWORKS[name]
    y, gradient = outputs_and_gradient(filled(shapes_of(row)), *inputs_of(row))
    for remat in ("full", "dots") if name == "dit_tokens" else ("full",):
        again, other = outputs_and_gradient(filled(shapes_of(with_remat(row, remat))), *inputs_of(row))
        np.testing.assert_allclose(again, y, rtol=1e-4, atol=1e-5)
        for ours, wanted in zip(jax.tree.leaves(other), jax.tree.leaves(gradient), strict=True):
            np.testing.assert_allclose(ours, wanted, rtol=1e-3, atol=1e-4 * np.abs(wanted).max())


def num_kept(row):
    """Numbers that the backward pass of a batch keeps, besides the weights; only traced."""
    arrays, static = eqx.partition(shapes_of(row), lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct))
    shape = (8, *row.event_shape)
    x, level, condition = (np.zeros(s, np.float32) for s in (shape, (8,), (8, row.condition_size)))

    def run(arrays):
        network = eqx.combine(arrays, static)
        return jax.vmap(lambda *one: network(*one))(x, level, condition)

    kept = jax.tree.leaves(jax.eval_shape(lambda arrays: jax.vjp(run, arrays)[1], arrays))
    return sum(leaf.size for leaf in kept) - sum(leaf.size for leaf in jax.tree.leaves(arrays))


@pytest.mark.parametrize("name", NAMES)
def test_less_is_kept(name):
    """Nothing of a block but its input with "full"; with "dots" its products too, but not the scores of attention."""
    row = dataclasses.replace(NETWORKS[name], event_shape=(2, 32, 32))
    everything, products, inputs = (num_kept(with_remat(row, remat)) for remat in ("none", "dots", "full"))
    assert inputs < 0.75 * products < 0.75 * 0.2 * everything


@pytest.mark.parametrize(("name", "step"), [("dit_tokens", 1), ("u_vit", 2), ("mm_dit", 1)])
def test_a_block_keeps_its_input_alone(name, step):
    """One more block keeps one more array of the size of its tokens; in a U-ViT, two blocks keep two and a skip.

    The last bias of a U-ViT's block, which no gradient needs, is not kept.
    """
    row = dataclasses.replace(NETWORKS[name], event_shape=(2, 16, 16))
    num = row.config.num_layers
    more = num_kept(with_remat(row, "full", num_layers=num + step)) - num_kept(with_remat(row, "full"))
    num_tokens = {"dit_tokens": 64, "u_vit": 64 + 1 + 1 + 3, "mm_dit": 64 + 3}[name]
    arrays, biases = (3, 2) if name == "u_vit" else (1, 0)
    assert more == 8 * arrays * num_tokens * 16 - biases * 16
