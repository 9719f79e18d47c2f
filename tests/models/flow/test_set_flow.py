"""Densities of sets: the same in any order, and not those of independent elements."""

import jax
import numpy as np
import pytest
from tests.models.flow.test_tarflow import at_random

from artifex.generative_models.core.configuration import ConfigError, SetFlowConfig

pytestmark = pytest.mark.usefixtures("cheap_compilation")

CONFIG = SetFlowConfig(event_shape=(4, 3), num_layers=2, hidden_size=8, num_heads=2)


@pytest.fixture(scope="module")
def flow():
    """With random weights."""
    return at_random(CONFIG)


def test_the_density_is_exchangeable(flow, key):
    """Any order has the same density and, permuted, the same latents; one pass from latents agrees."""
    x, log_prob = flow.sample_and_log_prob(5, key=key)
    order = np.array([2, 0, 3, 1])
    np.testing.assert_allclose(flow.log_prob(x), log_prob, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(flow.log_prob(x[:, order]), log_prob, rtol=1e-4, atol=1e-4)
    latents, permuted = (flow.encode(points).reshape(5, 4, 3) for points in (x, x[:, order]))
    np.testing.assert_allclose(permuted, latents[:, order], rtol=1e-4, atol=1e-4)
    assert np.all(np.abs(latents - x) > 1e-6)  # no feature is left as it is


def test_elements_depend_on_one_another(flow, key):
    """The mixed second derivatives of the log-density with respect to different elements are not zero."""
    x = jax.random.normal(key, (4, 3))

    @jax.jit
    def mixed(x):
        score = jax.grad(lambda x: flow._log_prob_one(x, None, key=None))
        return jax.jvp(score, (x,), (x.at[1:].set(0.0),))[1]

    assert np.all(np.abs(mixed(x)[1:]).max(axis=-1) > 1e-4)


def test_what_does_not_fit():
    """Elements of one number leave a coupling nothing to keep."""
    with pytest.raises(ConfigError, match=r"at least 2 features, .*; got \(8, 1\)"):
        SetFlowConfig(event_shape=(8, 1))
    with pytest.raises(ConfigError, match="`num_heads` must divide `hidden_size`"):
        SetFlowConfig(num_heads=5)
