"""Every sampler on every path with the exact denoiser: right distribution, right order, right limits."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest
from tests.core.sampling.mixtures import Mixture

from artifex.generative_models.core.configuration import (
    CosinePathConfig,
    DDPMPathConfig,
    EDMPathConfig,
    KarrasSpacingConfig,
    LeadingSpacingConfig,
    LinearPathConfig,
    LogSNRSpacingConfig,
    PowerSpacingConfig,
    SubVPPathConfig,
    TrailingSpacingConfig,
    TrigonometricPathConfig,
    UniformSpacingConfig,
    VEPathConfig,
    VPPathConfig,
)
from artifex.generative_models.core.sampling import (
    DDIMSampler,
    DPMSolverMultistepSampler,
    DPMSolverSinglestepSampler,
    HeunSampler,
    make_times,
)
from artifex.generative_models.models.diffusion.paths import make_path

PATHS = {
    config.kind: config
    for config in (
        VPPathConfig(),
        SubVPPathConfig(),
        CosinePathConfig(),
        VEPathConfig(),
        EDMPathConfig(),
        LinearPathConfig(),
        TrigonometricPathConfig(),
        DDPMPathConfig(),
    )
}
SAMPLERS = {
    "ddim": DDIMSampler(),
    "ancestral": DDIMSampler(eta=1.0),
    "half_stochastic": DDIMSampler(eta=0.5),
    "dpm_2m": DPMSolverMultistepSampler(),
    "dpm_2m_sde": DPMSolverMultistepSampler(is_stochastic=True),
    "dpm_2s": DPMSolverSinglestepSampler(),
    "heun": HeunSampler(),
    "heun_churn": HeunSampler(churn=0.2),
}
SPACINGS = {
    "uniform": UniformSpacingConfig(),
    "power": PowerSpacingConfig(),
    "karras": KarrasSpacingConfig(),
    "log_snr": LogSNRSpacingConfig(),
    "trailing": TrailingSpacingConfig(num_levels=1000),
    "leading": LeadingSpacingConfig(num_levels=1000),
}
MIXTURE = Mixture(weights=(0.3, 0.7), means=(-1.0, 0.8), scales=(0.3, 0.2))
NUM_SAMPLES = 4000


def draw(sampler, path, times, mixture, num=NUM_SAMPLES, key=0):
    """Samples of one number each, every one with its own key, as models make them."""
    denoise = mixture.denoiser(path)
    mean, std, _ = mixture.moments()

    @jax.jit
    @jax.vmap
    def one(key):
        noise_key, key = jax.random.split(key)
        # What x_t has of the data at the first time, so that the test is about the sampler.
        data_scale = jnp.hypot(path.sigma(times[0]), path.alpha(times[0]) * std)
        x = path.alpha(times[0]) * mean + data_scale * jax.random.normal(noise_key, (1,))
        return sampler.sample(denoise, path, x, times, key=key)

    return one(jax.random.split(jax.random.key(key), num))


@pytest.mark.parametrize(("path_name", "sampler_name"), list(itertools.product(PATHS, SAMPLERS)))
def test_distribution_of_a_mixture(path_name, sampler_name):
    """Mean and spread within 4 standard errors and what the steps are off; the whole distribution by its distance."""
    path = make_path(PATHS[path_name])
    times = make_times(KarrasSpacingConfig(), path, 200)
    sampled = draw(SAMPLERS[sampler_name], path, times, MIXTURE)
    x = np.asarray(sampled.x, np.float64)[:, 0]
    mean, std, fourth = MIXTURE.moments()
    assert abs(x.mean() - mean) < 4 * std / np.sqrt(len(x)) + 0.005
    error_of_variance = np.sqrt((fourth - std**4) / len(x))
    assert abs(x.var() - std**2) < 4 * error_of_variance + 0.01
    assert kstest(x, MIXTURE.cdf).statistic < 1.95 / np.sqrt(len(x)) + 0.01  # 1.95: p = 0.001


@pytest.mark.parametrize(("spacing_name", "sampler_name"), list(itertools.product(SPACINGS, SAMPLERS)))
def test_every_spacing_goes_with_every_sampler(spacing_name, sampler_name):
    """On the table of a DDPM, where all of them exist: few steps, so a wide gate on the moments."""
    path = make_path(DDPMPathConfig())
    times = make_times(SPACINGS[spacing_name], path, 50)
    sampled = draw(SAMPLERS[sampler_name], path, times, MIXTURE, num=2000)
    x = np.asarray(sampled.x)[:, 0]
    mean, std, _ = MIXTURE.moments()
    assert abs(x.mean() - mean) < 4 * std / np.sqrt(len(x)) + 0.03
    assert abs(x.std() - std) < 0.08


@pytest.mark.parametrize(
    ("name", "order", "evaluations"),
    [("ddim", 1, 1), ("heun", 2, 2), ("dpm_2m", 2, 1), ("dpm_2s", 2, 2)],
)
@pytest.mark.parametrize("path_name", ["vp", "edm", "linear", "cosine"])
def test_order_of_convergence(name, order, evaluations, path_name):
    """Of one Gaussian the flow is known: x_s - alpha_s m = sqrt(v_s / v_t) (x_t - alpha_t m)."""
    path, mixture = make_path(PATHS[path_name]), Mixture((1.0,), (0.5,), (0.4,))
    denoise, sampler = mixture.denoiser(path), SAMPLERS[name]
    first, last = (path.time(-2.0 * jnp.log(jnp.float32(ratio))) for ratio in (3.0, 0.1))
    spread = lambda t: jnp.sqrt(path.alpha(t) ** 2 * 0.4**2 + path.sigma(t) ** 2)  # noqa: E731
    x = path.alpha(first) * 0.5 + spread(first) * jnp.array([1.3, -0.7])
    exact = path.alpha(last) * 0.5 + spread(last) * jnp.array([1.3, -0.7])
    high, low = path.log_snr(jnp.stack([first, last]))
    errors = []
    for num_steps in (20, 40, 80):
        times = path.time(jnp.linspace(high, low, num_steps + 1))
        sampled = jax.jit(lambda times: sampler.sample(denoise, path, x, times, key=jax.random.key(0)))(times)
        assert sampled.num_evaluations == num_steps * evaluations
        errors.append(float(jnp.abs(sampled.x - exact).max()))
    rates = np.log2(np.array(errors[:-1]) / np.array(errors[1:]))
    np.testing.assert_allclose(rates, order, atol=0.35)


@pytest.mark.parametrize("path_name", PATHS)
def test_ddim_is_euler_in_sigma_over_alpha(path_name):
    """To round-off, against Euler's method written here."""
    path = make_path(PATHS[path_name])
    denoise = MIXTURE.denoiser(path)
    times = make_times(KarrasSpacingConfig(sigma_max=20.0), path, 12)
    x = path.sigma(times[0]) * jnp.array([0.4, -1.1, 0.9])
    sampled = DDIMSampler().sample(denoise, path, x, times, key=jax.random.key(0), keep_trajectory=True)

    scaled = x / path.alpha(times[0])
    for t, s, ours in zip(times[:-1], times[1:], sampled.trajectory[1:], strict=True):
        noise = denoise(scaled * path.alpha(t), t).noise
        ratios = (path.sigma(u) / path.alpha(u) for u in (s, t))
        scaled = scaled + (next(ratios) - next(ratios)) * noise
        np.testing.assert_allclose(ours, scaled * path.alpha(s), rtol=2e-4, atol=2e-5)


def test_churn_zero_is_heun_and_eta_one_is_ancestral():
    """Limits: no churn is Heun's method for d(x / alpha) / ds; DDIM at eta 1 on all levels is DDPM's posterior."""
    path = make_path(EDMPathConfig())
    denoise = MIXTURE.denoiser(path)
    times = make_times(KarrasSpacingConfig(), path, 15)
    x = path.sigma(times[0]) * jnp.array([0.4, -1.1])
    ours = HeunSampler().sample(denoise, path, x, times, key=jax.random.key(0)).x
    for t, s in itertools.pairwise(times):
        slope = denoise(x, t).noise
        moved = x + (path.sigma(s) - path.sigma(t)) * slope
        if s > 0:
            moved = x + (path.sigma(s) - path.sigma(t)) * 0.5 * (slope + denoise(moved, s).noise)
        x = moved
    np.testing.assert_allclose(ours, x, rtol=2e-4, atol=1e-5)

    table = make_path(DDPMPathConfig(num_steps=1000))
    denoise = MIXTURE.denoiser(table)
    betas = np.linspace(1e-4, 0.02, 1000)
    cumulative = np.cumprod(1 - betas)
    x, key = jnp.array([0.7, -0.2]), jax.random.key(3)
    for i in (999, 500, 20, 1):
        t, s = jnp.float32((i + 1) / 1000), jnp.float32(i / 1000)
        moved, _, _ = DDIMSampler(eta=1.0).step(denoise, table, x, (), t, s, key=key)
        # Ho et al., equations 6 and 7, float64.
        data, before = np.asarray(denoise(x, t).data, np.float64), cumulative[i - 1]
        mean = np.sqrt(before) * betas[i] / (1 - cumulative[i]) * data
        mean += np.sqrt(1 - betas[i]) * (1 - before) / (1 - cumulative[i]) * np.asarray(x, np.float64)
        std = np.sqrt((1 - before) / (1 - cumulative[i]) * betas[i])
        expected = mean + std * np.asarray(jax.random.normal(key, (2,)))
        np.testing.assert_allclose(moved, expected, rtol=1e-4, atol=1e-5)


def test_trajectory_and_keys():
    """All stops on demand; another key changes stochastic samplers alone; under vmap each sample is on its own."""
    path = make_path(VPPathConfig())
    denoise, times = MIXTURE.denoiser(path), make_times(UniformSpacingConfig(), path, 6)
    x = jax.random.normal(jax.random.key(1), (3, 2))
    for name, sampler in SAMPLERS.items():
        run = jax.jit(
            lambda x, key, sampler=sampler: sampler.sample(
                denoise, path, x, times, key=key, keep_trajectory=True
            )
        )
        keys = jax.random.split(jax.random.key(2), 3)
        alone, other = run(x[0], keys[0]), run(x[0], keys[1])
        together = jax.vmap(run)(x, keys)
        assert alone.trajectory.shape == (7, 2)
        np.testing.assert_array_equal(alone.trajectory[0], x[0])
        np.testing.assert_array_equal(alone.trajectory[-1], alone.x)
        np.testing.assert_allclose(together.x[0], alone.x, rtol=1e-5, atol=1e-6)
        is_stochastic = name in ("ancestral", "half_stochastic", "dpm_2m_sde", "heun_churn")
        assert (np.abs(alone.x - other.x).max() > 1e-3) == is_stochastic
