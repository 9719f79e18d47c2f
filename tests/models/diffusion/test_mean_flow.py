"""Mean flows: the identity at the exact average velocity, guidance, samples."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    AdamConfig,
    DDIMSamplerConfig,
    MeanFlowConfig,
    MLPDenoiserConfig,
    TrainingConfig,
    UniformTimesConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.diffusion.mean_flow import mean_flow_error
from artifex.generative_models.training import fit

MEAN, STD = 0.4, 0.6


def spread(t):
    return jnp.sqrt((1.0 - t) ** 2 * STD**2 + t**2)


def trajectory(x, t, s):
    """Where the flow of N(0.4, 0.6^2) on the straight path takes x from time t to time s."""
    return (1.0 - s) * MEAN + spread(s) / spread(t) * (x - (1.0 - t) * MEAN)


def velocity(x, t):
    """Its direction there."""
    return jax.jvp(lambda s: trajectory(x, t, s), (t,), (jnp.ones_like(t),))[1]


def average_velocity(x, r, t):
    """(x_t - x_r) / (t - r), and the velocity where they are the same."""
    same = t == r
    apart = jnp.where(same, 1.0, t - r)
    return jnp.where(same, velocity(x, t), (x - trajectory(x, t, r)) / apart)


@pytest.mark.parametrize(("r", "t"), [(0.0, 1.0), (0.2, 0.7), (0.6, 0.9), (0.5, 0.5)])
def test_identity(r, t):
    """The exact average velocity satisfies it to round-off, and another function does not."""
    r, t = jnp.float32(r), jnp.float32(t)
    x = jax.random.normal(jax.random.key(0), (3,))
    at = (velocity(x, t), x, r, t)
    assert mean_flow_error(average_velocity, *at) < 1e-9
    assert mean_flow_error(lambda x, r, t: average_velocity(x, r, t) + 0.1 * x, *at) > 1e-4


def test_error_in_float64():
    """Against derivatives by hand, for a function with all of them."""
    x, v = jnp.array([0.3, -0.8]), jnp.array([1.0, 0.5])
    ours = mean_flow_error(lambda x, r, t: t * x**2 + r, v, x, jnp.float32(0.2), jnp.float32(0.7))
    x, v = np.float64(x), np.float64(v)
    output = 0.7 * x**2 + 0.2
    slope = 2 * 0.7 * x * v + x**2  # nothing of r, which stays
    np.testing.assert_allclose(ours, np.sum((output - (v - 0.5 * slope)) ** 2), rtol=1e-5)


def test_no_gradient_through_the_target():
    """It is that of the output alone."""
    x, v, r, t = jnp.array([0.3, -0.8]), jnp.array([1.0, 0.5]), jnp.float32(0.2), jnp.float32(0.7)
    ours = jax.grad(lambda a: mean_flow_error(lambda x, r, t: a * x**2 * t, v, x, r, t))(1.5)
    output = 1.5 * x**2 * t
    target = v - (t - r) * (3.0 * x * v * t + 1.5 * x**2)
    np.testing.assert_allclose(ours, 2 * jnp.sum((output - target) * x**2 * t), rtol=1e-5)


@pytest.fixture(scope="module")
def guided():
    """With conditions that it sometimes does not see, and guidance with mixing."""
    config = MeanFlowConfig(
        event_shape=(2,),
        num_classes=3,
        condition_dropout=0.2,
        guidance_scale=3.0,
        guidance_mixing=0.5,
        network=MLPDenoiserConfig(hidden_size=16, num_layers=1),
    )
    return create_model(config, key=jax.random.key(0))


class TestGuidance:
    """The velocity that is learned."""

    def test_combination(self, guided, key):
        """It is w (1 - k) v + k u_c + (1 - w (1 - k) - k) u; where the condition is withheld, v itself."""
        x, v = jax.random.normal(key, (2, 2))
        t, label = jnp.float32(0.6), jnp.asarray(1)
        with_it = guided._velocity(x, t, t, guided._vector(label))
        without = guided._velocity(x, t, t, guided._vector(label, is_withheld=True))
        ours = guided._guided(v, x, t, label, jnp.asarray(False))
        np.testing.assert_allclose(ours, 1.5 * v + 0.5 * with_it - 1.0 * without, rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(guided._guided(v, x, t, label, jnp.asarray(True)), v)

    def test_fixed_point_is_the_scale(self, guided, key):
        """If u_c = g learns g = w (1 - k) v + k g + ..., then g = w v + (1 - w) u: the paper's effective scale."""
        scale, mixing = guided.config.guidance_scale, guided.config.guidance_mixing
        v, free = np.array([0.3, 1.0]), np.array([0.1, -0.2])
        g = scale * v + (1 - scale) * free
        own = scale * (1 - mixing)
        np.testing.assert_allclose(own * v + mixing * g + (1 - own - mixing) * free, g, rtol=1e-12)


class TestSampling:
    """`generate` and `sample`."""

    def test_steps(self, guided, key):
        """Each is x - (t - s) u(x, s, t), from the noise of the key."""
        sampled = guided.sample(2, key=key, condition=1, times=[1.0, 0.4, 0.0], keep_trajectory=True)
        np.testing.assert_array_equal(
            sampled.trajectory[:, 0],
            jnp.stack([jax.random.normal(jax.random.fold_in(key, i), (2,)) for i in (0, 1)]),
        )
        vector = guided._vector(jnp.asarray(1))
        for row in sampled.trajectory:
            for k, (t, s) in enumerate(((1.0, 0.4), (0.4, 0.0))):
                u = guided._velocity(row[k], jnp.float32(s), jnp.float32(t), vector)
                np.testing.assert_allclose(row[k + 1], row[k] - (t - s) * u, rtol=1e-5, atol=1e-6)
        assert (sampled.num_evaluations == 2).all()
        one_step = guided.sample(
            2, key=key, condition=1, num_steps=1
        ).x  # another program, so equal to round-off
        np.testing.assert_allclose(guided.generate(2, key=key, condition=1), one_step, rtol=1e-5, atol=1e-6)

    def test_wrong_use(self, guided, key):
        """Errors say what is required."""
        with pytest.raises(ValueError, match="takes no `sampler`"):
            guided.sample(1, key=key, condition=0, sampler=DDIMSamplerConfig())
        with pytest.raises(ValueError, match="`times`, or `num_steps`"):
            guided.sample(1, key=key, condition=0, times=[1.0, 0.0], num_steps=1)
        with pytest.raises(ValueError, match="also learns without conditions"):
            MeanFlowConfig(num_classes=3, guidance_scale=2.0)
        with pytest.raises(ValueError, match="needs a conditional model"):
            MeanFlowConfig(condition_dropout=0.1)


def test_learns_a_gaussian(key):
    """Correlated data in one and two steps: means within 4 standard errors and 0.08, spreads and 0.12.

    Steps over the whole interval are seldom trained, so at first the spread comes out narrow.
    """
    factor = np.array([[0.8, 0.0], [0.5, 0.3]])
    x = (np.array([0.5, -0.3]) + np.random.default_rng(0).normal(size=(4096, 2)) @ factor.T).astype(
        np.float32
    )
    config = MeanFlowConfig(
        event_shape=(2,),
        network=MLPDenoiserConfig(hidden_size=48, num_layers=2),
        times=UniformTimesConfig(low_discrepancy=True),
        interval_fraction=0.75,
        adaptive_power=0.0,
    )
    training = TrainingConfig(
        num_steps=500,
        batch_size=256,
        optimizer=AdamConfig(learning_rate=3e-3),
        schedule=WarmupCosineScheduleConfig(),
        ema_decay=0.99,
    )
    model = fit(create_model(config, key=key), x, training, key=jax.random.key(1), progress=False).model
    for num_steps in (1, 2):
        samples = np.asarray(model.sample(2000, key=jax.random.key(2), num_steps=num_steps).x, np.float64)
        std = np.sqrt(np.diag(factor @ factor.T))
        assert (np.abs(samples.mean(0) - [0.5, -0.3]) < 4 * std / np.sqrt(2000) + 0.08).all()
        assert (np.abs(samples.std(0) - std) < 4 * std / np.sqrt(2 * 2000) + 0.12).all()
        expected = (factor @ factor.T)[0, 1] / std.prod()
        assert abs(np.corrcoef(samples.T)[0, 1] - expected) < 4 * (1 - expected**2) / np.sqrt(2000) + 0.08
