"""U-ViT: which block is joined to which."""

import equinox as eqx
import numpy as np
import pytest
from tests.models.backbones.networks import NETWORKS, filled, inputs_of, outputs_and_gradient, shapes_of

pytestmark = pytest.mark.usefixtures("cheap_compilation")
SIZE = 16


def blocks_that_matter(network):
    """Whether the outputs depend on each block before the middle, the middle, and each block after it."""
    _, gradient = outputs_and_gradient(network, *inputs_of(NETWORKS["u_vit"]))
    halves = [np.any(half.layers.expand.weight, axis=(1, 2)) for half in (gradient.first, gradient.second)]
    return [*halves[0], np.any(gradient.middle.expand.weight), *halves[1]]


def test_the_last_block_is_joined_to_the_first():
    """A block that takes nothing from the one before it knows only what the mirrored block sends it, and so on."""
    network = filled(shapes_of(NETWORKS["u_vit"]))
    assert blocks_that_matter(network) == [True] * 5

    def without(columns, block):
        def where(network):
            return network.second.layers.skip.weight

        return eqx.tree_at(where, network, where(network).at[block, :, columns].set(0.0))

    before, mirrored = slice(0, SIZE), slice(SIZE, 2 * SIZE)
    assert blocks_that_matter(without(before, 1)) == [True, False, False, False, True]
    assert blocks_that_matter(without(before, 0)) == [True, True, False, True, True]
    both = without(mirrored, 0)
    assert blocks_that_matter(both) == [True] * 5
    # Of the chain alone nothing is left without its first link.
    cut = eqx.tree_at(
        lambda n: n.second.layers.skip.weight, both, both.second.layers.skip.weight.at[0].set(0.0)
    )
    assert blocks_that_matter(cut) == [True, False, False, True, True]
