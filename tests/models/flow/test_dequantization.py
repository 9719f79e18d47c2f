"""Models of integers: bounds against an exact probability, and bits per dimension against a calculation by hand."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr
from tests.models.flow.test_model import shaken

from artifex.data import Dataset
from artifex.generative_models.core.configuration import (
    BijectionFlowConfig,
    ConfigError,
    DequantizedFlowConfig,
    GlowConfig,
    ReverseConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.modalities import evaluate
from artifex.generative_models.modalities.image.representations import Dequantized, Discrete

SHAPE = (1, 4, 4)
NUM_LEVELS = 5
# (integer + noise) / 5 is standard normal: the probability of an integer is known.
NORMAL = BijectionFlowConfig(event_shape=SHAPE, bijection=ReverseConfig())
SMALL = {"event_shape": SHAPE, "num_levels": NUM_LEVELS, "num_layers": 1, "hidden_channels": 4}

pytestmark = pytest.mark.usefixtures("cheap_compilation")


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, NUM_LEVELS, (256, *SHAPE)).astype(np.uint8)


@pytest.fixture(scope="module")
def exact_log_prob(images):
    """Of each image under `NORMAL`."""
    edges = np.arange(NUM_LEVELS + 1) / NUM_LEVELS
    return np.log(np.diff(ndtr(edges)))[images].reshape(len(images), -1).sum(1)


def test_variational_bounds(images, exact_log_prob):
    """One draw is below log P in the mean; many draws come near it. Bits are those of the bound."""
    model = shaken(create_model(DequantizedFlowConfig(**SMALL, flow=NORMAL), key=jax.random.key(0)), 0.1)
    runs = [
        evaluate(
            model,
            Dataset({"x": images}, Discrete(NUM_LEVELS)),
            key=jax.random.key(seed),
            metrics=["elbo", "importance_weighted_bound", "bits_per_dimension"],
            num_importance_samples=128,
            batch_size=64,
        )
        for seed in range(1, 5)
    ]
    gaps = exact_log_prob.mean() - np.array([found["importance_weighted_bound_128"] for found in runs])
    found = runs[0]
    gap = exact_log_prob.mean() - found["elbo"]
    assert 0.5 < gap < 10.0
    assert -3.0 * gaps.std(ddof=1) / 2.0 < gaps.mean() < 0.1 * gap
    bits = -found["importance_weighted_bound_128"] / (16 * math.log(2.0))
    np.testing.assert_allclose(found["bits_per_dimension"], bits, rtol=1e-6)


def test_log_weights_have_mean_one(images, exact_log_prob):
    """E[P(x, u) / q(u|x)] = P(x), whatever q: the density of the noise is right."""
    model = shaken(create_model(DequantizedFlowConfig(**SMALL, flow=NORMAL), key=jax.random.key(0)), 0.1)
    num = 4096
    x = jnp.asarray(np.repeat(images[:1], num, axis=0), jnp.int32)
    weights = np.exp(np.asarray(model.log_prob(x, key=jax.random.key(2)), np.float64) - exact_log_prob[0])
    assert abs(weights.mean() - 1.0) < 4 * weights.std() / num**0.5
    assert weights.std() / num**0.5 < 0.1


def test_uniform_bits(images):
    """Bits of a normal density with uniform noise, which can be integrated by hand.

    E[-log p(y)] = log(2 pi) / 2 + E[y^2] / 2 with E[y^2] = ((v + 1/2)^2 + 1/12) / L^2, and log L for the scale.
    """
    model = create_model(NORMAL, key=jax.random.key(0))
    found = evaluate(
        model,
        Dataset({"x": images}, Dequantized(NUM_LEVELS)),
        key=jax.random.key(1),
        metrics=["bits_per_dimension"],
    )
    square = ((images + 0.5) ** 2 + 1 / 12).mean() / NUM_LEVELS**2
    wanted = (0.5 * math.log(2 * math.pi) + 0.5 * square + math.log(NUM_LEVELS)) / math.log(2.0)
    # Each of 4096 pixels adds noise of at most 0.9 * 0.2 / 12^0.5 nats.
    assert abs(found["bits_per_dimension"] - wanted) < 4 * 0.06 / 4096**0.5 / math.log(2.0)


def test_integers_with_a_glow(images):
    """Samples are integers in the range; the flow's norms are set with the noise that the model adds."""
    flow = GlowConfig(event_shape=SHAPE, num_levels=1, num_steps=1, hidden_channels=4, num_classes=3)
    config = DequantizedFlowConfig(**SMALL, num_classes=3, flow=flow)
    model = create_model(config, key=jax.random.key(0))
    labels = jnp.asarray(np.arange(256) % 3)
    assert model.starts_from_data
    new = model.initialized(jnp.asarray(images, jnp.int32), labels, key=jax.random.key(1))
    assert not new.starts_from_data
    samples = new.generate(64, key=jax.random.key(2), condition=labels[:64])
    assert samples.dtype == jnp.int32
    assert samples.min() == 0 and samples.max() == NUM_LEVELS - 1
    assert abs(float(samples.mean()) - images.mean()) < 0.3


def test_configs_that_do_not_fit():
    """The flow must be one of the same examples and conditions."""
    with pytest.raises(ConfigError, match=r"`flow.event_shape` must be the model's, \(1, 4, 4\)"):
        DequantizedFlowConfig(event_shape=SHAPE)
    with pytest.raises(ConfigError, match=r"`flow.num_classes` must be the model's, 3; got None"):
        DequantizedFlowConfig(event_shape=SHAPE, flow=NORMAL, num_classes=3)
