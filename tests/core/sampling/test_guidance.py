"""Guidance: its limits, its interval, its rescaling, and a second model as the guide."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    FlowMatchingConfig,
    GuidanceConfig,
    LinearPathConfig,
    MLPDenoiserConfig,
)
from artifex.generative_models.core.sampling import Estimate, guided
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.diffusion.paths import make_path

PATH = make_path(LinearPathConfig())


def always(data):
    """A denoiser of one opinion, with the noise that goes with it."""
    data = jnp.asarray(data)
    return lambda x, t: Estimate(data, (x - PATH.alpha(t) * data) / PATH.sigma(t))


OURS, GUIDE = always([1.0, 3.0, -2.0]), always([0.5, 1.0, -1.0])
X, T = jnp.array([0.3, 0.1, -0.4]), jnp.float32(0.5)  # sigma / alpha is 1


def test_extrapolation_and_interval():
    """Equation 6 inside, the model alone outside."""
    estimate = guided(GuidanceConfig(scale=3.0), PATH, OURS, GUIDE)(X, T)
    np.testing.assert_allclose(estimate.data, [2.0, 7.0, -4.0], rtol=1e-6)
    for low, high, is_inside in ((0.5, 2.0, True), (1.5, 2.0, False), (0.1, 0.9, False)):
        config = GuidanceConfig(scale=3.0, sigma_min=low, sigma_max=high)
        data = guided(config, PATH, OURS, GUIDE)(X, T).data
        np.testing.assert_allclose(data, [2.0, 7.0, -4.0] if is_inside else [1.0, 3.0, -2.0], rtol=1e-6)


def test_rescaling():
    """At 1 the spread is the model's; data and noise still make x_t."""
    for amount in (0.4, 1.0):
        estimate = guided(GuidanceConfig(scale=3.0, rescale=amount), PATH, OURS, GUIDE)(X, T)
        far = np.array([2.0, 7.0, -4.0])
        expected = (1 - amount) * far + amount * far * np.std([1.0, 3.0, -2.0]) / np.std(far)
        np.testing.assert_allclose(estimate.data, expected, rtol=1e-5)
        back = PATH.alpha(T) * estimate.data + PATH.sigma(T) * estimate.noise
        np.testing.assert_allclose(back, X, atol=1e-5)


def test_a_weaker_model_as_the_guide(key):
    """Guided by itself nothing changes; by another model it does; one of another path is refused."""
    network = MLPDenoiserConfig(hidden_size=16, num_layers=1)
    config = FlowMatchingConfig(event_shape=(2,), network=network, num_sampling_steps=3)
    moved = lambda model: jax.tree.map(lambda leaf: leaf + 0.1 * jnp.cos(leaf + leaf.size), model)  # noqa: E731
    model = moved(create_model(config, key=key))
    weaker = moved(moved(create_model(config.replace(network=MLPDenoiserConfig(hidden_size=8)), key=key)))
    plain, strong = model.sample(3, key=key).x, GuidanceConfig(scale=2.0)
    np.testing.assert_allclose(model.sample(3, key=key, guidance=strong, guide=model).x, plain, atol=1e-5)
    assert np.abs(model.sample(3, key=key, guidance=strong, guide=weaker).x - plain).min() > 1e-4
    with pytest.raises(ValueError, match="or give a weaker model as `guide`"):
        model.sample(3, key=key, guidance=strong)
    with pytest.raises(ValueError, match="but not both"):
        model.sample(3, key=key, guidance=strong, guidance_scale=2.0)
    other = create_model(config.replace(event_shape=(3,)), key=key)
    with pytest.raises(ValueError, match="must have the model's `event_shape`"):
        model.sample(3, key=key, guidance=strong, guide=other)
    with pytest.raises(ValueError, match="`sigma_max` must exceed `sigma_min`"):
        GuidanceConfig(sigma_min=2.0, sigma_max=1.0)
