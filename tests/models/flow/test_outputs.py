"""Flows taken apart: each state is what the layers before it make of the latents."""

import jax
import numpy as np
import pytest
from tests.models.flow.test_model import shaken

from artifex.generative_models.core.configuration import (
    BijectionFlowConfig,
    ChainConfig,
    CouplingLayerConfig,
    ReshapeConfig,
    ReverseConfig,
    ScannedConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.flow import flow_states

pytestmark = pytest.mark.usefixtures("cheap_compilation")


def test_states_are_those_between_the_layers(key):
    """Of a scan in a chain, with a condition; the last one is the example, the shape of a part makes no difference."""
    pair = ChainConfig(layers=(CouplingLayerConfig(hidden_size=4, num_layers=1), ReverseConfig()))
    layers = (ScannedConfig(layer=pair, num_layers=3), ReshapeConfig(shape=(2, 2)), ReshapeConfig())
    config = BijectionFlowConfig(
        event_shape=(2, 2), num_classes=2, bijection=ChainConfig(layers=(*layers, ReverseConfig()))
    )
    flow = shaken(create_model(config, key=key), 0.3)
    z, labels = jax.random.normal(key, (3, 4)), np.array([0, 1, 1])
    states = np.asarray(flow_states(flow, z, labels))
    assert states.shape == (3, 1 + 3 + 3, 4)
    np.testing.assert_array_equal(states[:, 0], z)
    np.testing.assert_allclose(states[:, -1].reshape(3, 2, 2), flow.decode(z, labels), rtol=1e-5)
    np.testing.assert_allclose(states[:, -1], states[:, -2, ::-1])
    np.testing.assert_allclose(states[:, 3], states[:, 5])
    for first, second in zip(range(3), range(1, 4), strict=True):
        # An affine coupling keeps the first half, then the order is reversed.
        np.testing.assert_allclose(states[:, second, 2:], states[:, first, 1::-1], rtol=1e-5)
        assert np.abs(states[:, second, :2] - states[:, first, :1:-1]).min() > 1e-5
    with pytest.raises(ValueError, match=r"`z` must have shape \(batch, 4\)"):
        flow_states(flow, z[:, :3], labels)
