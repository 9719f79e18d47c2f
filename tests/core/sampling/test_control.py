"""Controls with the exact denoiser of normal data, for which everything that is wanted has a closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.core.sampling.mixtures import Mixture

from artifex.generative_models.core.configuration import (
    EDMPathConfig,
    KarrasSpacingConfig,
    LinearPathConfig,
    VPPathConfig,
)
from artifex.generative_models.core.sampling import (
    ClassifierGuidance,
    Constraint,
    DDIMSampler,
    DPMSolverMultistepSampler,
    Energy,
    Estimate,
    InpaintingSampler,
    LinearMeasurement,
    make_times,
)
from artifex.generative_models.models.diffusion.paths import make_path

MEAN, COVARIANCE = np.array([0.3, -0.5]), np.array([[0.5, 0.3], [0.3, 0.4]])
WEIGHTS = jnp.array([1.0, -2.0])


def measure(x):
    """One number of two."""
    return (WEIGHTS @ x)[None]


def normal_denoiser(path, mean, covariance):
    """E[x_0 | x_t] and E[noise | x_t] of normal data."""
    mean, covariance = jnp.asarray(mean, jnp.float32), jnp.asarray(covariance, jnp.float32)

    def denoise(x, t):
        alpha, sigma = path.alpha(t), path.sigma(t)
        total = alpha**2 * covariance + sigma**2 * jnp.eye(2)
        solved = jnp.linalg.solve(total, x - alpha * mean)
        return Estimate(mean + alpha * covariance @ solved, sigma * solved)

    return denoise


def posterior(covariance, y, noise):
    """Mean and covariance of normal data, given a measurement, in float64."""
    h = np.asarray(WEIGHTS, np.float64)[None]
    gain = covariance @ h.T / (h @ covariance @ h.T + noise**2)
    return MEAN + (gain @ (y - h @ MEAN)).ravel(), covariance - gain @ h @ covariance


@pytest.mark.parametrize("config", [VPPathConfig(), LinearPathConfig(), EDMPathConfig()])
def test_a_measurement_gives_the_posterior(config):
    """At every x_t, with Tweedie's covariance whatever the data's, with r^2 where entries are independent."""
    path = make_path(config)
    y, noise = jnp.array([0.8]), 0.3
    for covariance, scale in ((COVARIANCE, None), (0.49 * np.eye(2), 0.7)):
        control = LinearMeasurement(measure, noise_scale=noise, data_scale=scale)
        led = jax.jit(control.apply(normal_denoiser(path, MEAN, covariance), path, y))
        exact = normal_denoiser(path, *posterior(covariance, np.asarray(y), noise))
        for ratio in (0.05, 0.5, 3.0):
            t = path.time(-2.0 * jnp.log(jnp.float32(ratio)))
            x = path.alpha(t) * jnp.array([0.4, 0.1]) + path.sigma(t) * jnp.array([-0.9, 0.6])
            for ours, expected in zip(led(x, t)[:2], exact(x, t)[:2], strict=True):
                np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-3)
            np.testing.assert_allclose(
                path.alpha(t) * led(x, t).data + path.sigma(t) * led(x, t).noise, x, rtol=1e-3, atol=1e-3
            )


def test_an_energy_with_the_right_spread_is_a_measurement():
    """-log N(y; h data, h C h + noise^2) as an energy."""
    path, y = make_path(LinearPathConfig()), jnp.array([0.8])
    denoise = normal_denoiser(path, MEAN, 0.49 * np.eye(2))

    def energy(data, t, y):
        ratio = path.sigma(t) / path.alpha(t)
        spread = jnp.sum(WEIGHTS**2) / (1 / 0.49 + 1 / ratio**2) + 0.3**2
        return jnp.sum((y - measure(data)) ** 2) / (2.0 * spread)

    x, t = jnp.array([0.4, 0.1]), jnp.float32(0.6)
    ours = Energy(energy).apply(denoise, path, y)(x, t)
    other = LinearMeasurement(measure, noise_scale=0.3, data_scale=0.7).apply(denoise, path, y)(x, t)
    np.testing.assert_allclose(ours.data, other.data, rtol=1e-4)
    np.testing.assert_allclose(ours.noise, other.noise, rtol=1e-4)


def draw(sampler, denoise, path, times, num, shape=(2,)):
    """Samples, each with its own key."""

    @jax.jit
    @jax.vmap
    def one(key):
        noise_key, key = jax.random.split(key)
        x = path.sigma(times[0]) * jax.random.normal(noise_key, shape)
        return sampler.sample(denoise, path, x, times, key=key).x

    return np.asarray(one(jax.random.split(jax.random.key(0), num)), np.float64)


def test_samples_of_a_measurement():
    """Mean and covariance within 4 standard errors and what the steps are off."""
    path, y = make_path(LinearPathConfig()), jnp.array([0.8])
    times = make_times(KarrasSpacingConfig(), path, 40)
    control = LinearMeasurement(measure, noise_scale=0.3, data_scale=None)
    led = control.apply(normal_denoiser(path, MEAN, COVARIANCE), path, y)
    mean, covariance = posterior(COVARIANCE, np.asarray(y), 0.3)
    x = draw(DPMSolverMultistepSampler(), led, path, times, 2000)
    error = np.sqrt(np.diag(covariance) / 2000)
    assert (np.abs(x.mean(0) - mean) < 4 * error + 0.01).all()
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.05)


def test_a_constraint_holds():
    """For the sample itself; on the way data and noise still make x_t."""
    path = make_path(LinearPathConfig())
    denoise = normal_denoiser(path, MEAN, COVARIANCE)

    def on_a_line(data, t, total):
        return data + 0.5 * (total - jnp.sum(data))

    control = Constraint(on_a_line)
    led = control.apply(denoise, path, jnp.float32(1.5))
    x, t = jnp.array([0.4, 0.1]), jnp.float32(0.6)
    estimate = led(x, t)
    np.testing.assert_allclose(path.alpha(t) * estimate.data + path.sigma(t) * estimate.noise, x, atol=1e-6)
    times = make_times(KarrasSpacingConfig(), path, 10)
    for sampler in (DDIMSampler(), DPMSolverMultistepSampler()):
        np.testing.assert_allclose(draw(sampler, led, path, times, 20).sum(1), 1.5, atol=1e-4)
    same = Constraint(lambda data, t: data).apply(denoise, path, None)(x, t)
    np.testing.assert_allclose(same.noise, denoise(x, t).noise, atol=1e-6)


def test_inpainting():
    """Known entries exactly; the other from its conditional distribution, the nearer the more resamples."""
    path = make_path(VPPathConfig())
    times = make_times(KarrasSpacingConfig(), path, 25)
    known, is_known = jnp.array([1.5, 0.0]), jnp.array([True, False])
    denoise = normal_denoiser(path, MEAN, COVARIANCE)
    expected = MEAN[1] + COVARIANCE[1, 0] / COVARIANCE[0, 0] * (1.5 - MEAN[0])
    variance = COVARIANCE[1, 1] - COVARIANCE[1, 0] ** 2 / COVARIANCE[0, 0]
    errors = []
    for num_resamples in (1, 10):
        sampler = InpaintingSampler(DDIMSampler(), known, is_known, num_resamples)
        x = draw(sampler, denoise, path, times, 800)
        assert (x[:, 0] == 1.5).all()
        errors.append(abs(x[:, 1].mean() - expected))
    assert errors[1] < 4 * np.sqrt(variance / 800) + 0.03
    assert errors[1] < 0.5 * errors[0]
    assert abs(x[:, 1].std() - np.sqrt(variance)) < 0.06

    mixture = Mixture(weights=(0.3, 0.7), means=(-1.0, 0.8), scales=(0.3, 0.2))
    sampler = InpaintingSampler(DDIMSampler(), known, is_known, 1)
    x = draw(sampler, mixture.denoiser(path), path, times, 800)
    mean, std, _ = mixture.moments()
    assert abs(x[:, 1].mean() - mean) < 4 * std / np.sqrt(800) + 0.02
    assert abs(x[:, 1].std() - std) < 0.08


@pytest.mark.parametrize("config", [VPPathConfig(), LinearPathConfig(), EDMPathConfig()])
def test_the_exact_classifier_gives_the_class(config):
    """Components of a mixture as classes: at scale 1 the unconditional denoiser becomes that of the component."""
    path = make_path(config)
    mixture = Mixture(weights=(0.3, 0.7), means=(-1.0, 0.8), scales=(0.3, 0.2))
    weights, means, scales = (jnp.asarray(v) for v in (mixture.weights, mixture.means, mixture.scales))

    def log_prob(x, t, label):
        variance = path.alpha(t) ** 2 * scales**2 + path.sigma(t) ** 2
        away = x[0] - path.alpha(t) * means
        return jax.nn.log_softmax(jnp.log(weights) - 0.5 * (jnp.log(variance) + away**2 / variance))[label]

    led = jax.jit(
        lambda x, t, k: ClassifierGuidance(log_prob).apply(mixture.denoiser(path), path, k)(x, t)[:2]
    )
    for k in (0, 1):
        exact = Mixture((1.0,), means[k : k + 1], scales[k : k + 1]).denoiser(path)
        for ratio in (0.1, 0.7, 3.0):
            t = path.time(-2.0 * jnp.log(jnp.float32(ratio)))
            x = path.alpha(t) * jnp.array([0.2]) + path.sigma(t) * jnp.array([-0.6])
            for ours, expected in zip(led(x, t, k), exact(x, t)[:2], strict=True):
                np.testing.assert_allclose(ours, expected, rtol=2e-3, atol=2e-3)

    if config.kind == "linear":
        times = make_times(KarrasSpacingConfig(), path, 60)
        guide = ClassifierGuidance(log_prob).apply(mixture.denoiser(path), path, jnp.int32(0))
        x = draw(DPMSolverMultistepSampler(), guide, path, times, 1500, shape=(1,))[:, 0]
        assert abs(x.mean() + 1.0) < 4 * 0.3 / np.sqrt(1500) + 0.01
        assert abs(x.std() - 0.3) < 4 * 0.3 / np.sqrt(3000) + 0.01


def test_wrong_use():
    """Errors say what is required."""
    path = make_path(LinearPathConfig())
    with pytest.raises(ValueError, match="`noise_scale` must be above 0"):
        LinearMeasurement(measure, noise_scale=0.0)
    with pytest.raises(ValueError, match="`num_iterations` must be at least 1"):
        LinearMeasurement(measure, noise_scale=0.1, num_iterations=0)
    with pytest.raises(ValueError, match="needs `target`"):
        LinearMeasurement(measure, noise_scale=0.1).apply(normal_denoiser(path, MEAN, COVARIANCE), path, None)
    with pytest.raises(ValueError, match="`ClassifierGuidance` needs `target`"):
        ClassifierGuidance(measure).apply(normal_denoiser(path, MEAN, COVARIANCE), path, None)
    with pytest.raises(ValueError, match="`num_resamples` must be at least 1"):
        InpaintingSampler(DDIMSampler(), jnp.zeros(2), jnp.zeros(2, bool), 0)
