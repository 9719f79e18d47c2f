"""Every sampler on every path with the exact denoiser: right distribution, right order, right limits."""

import itertools

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import kstest
from tests.core.sampling.mixtures import Mixture

from artifex.generative_models.core.configuration import (
    AdaptiveODESamplerConfig,
    CosinePathConfig,
    DDPMPathConfig,
    EDMPathConfig,
    KarrasSpacingConfig,
    LangevinSamplerConfig,
    LeadingSpacingConfig,
    LinearPathConfig,
    LogSNRSpacingConfig,
    ODESamplerConfig,
    PowerSpacingConfig,
    RestartSamplerConfig,
    SDESamplerConfig,
    SigmoidPathConfig,
    SubVPPathConfig,
    TrailingSpacingConfig,
    TrigonometricPathConfig,
    UniformSpacingConfig,
    UniPCSamplerConfig,
    VEPathConfig,
    VPPathConfig,
)
from artifex.generative_models.core.sampling import (
    AdaptiveODESampler,
    AngleVariable,
    DDIMSampler,
    DPMSolverMultistepSampler,
    DPMSolverSinglestepSampler,
    HeunSampler,
    LangevinSampler,
    ODESampler,
    RestartSampler,
    SDESampler,
    TimeVariable,
    UniPCSampler,
    make_sampler,
    make_times,
)
from artifex.generative_models.models.diffusion.paths import make_path

PATHS = {
    config.kind: config
    for config in (
        VPPathConfig(),
        SubVPPathConfig(),
        CosinePathConfig(),
        SigmoidPathConfig(),
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
    "ode_heun": ODESampler(),
    "ode_adaptive": AdaptiveODESampler(),
    "unipc": UniPCSampler(),
    "langevin": LangevinSampler(),
    "restart": RestartSampler(low=0.7, high=2.0),
    "sde_euler": SDESampler(),
    "sde_heun": SDESampler(diffrax.Heun(), eta=0.7),
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
GAUSSIAN = Mixture(weights=(0.5, 0.5), means=(0.5, 0.5), scales=(0.4, 0.4))
# Shapes that another path in the table has nearly, too: their whole rows are run by `-m slow`.
LIKE_OTHERS = ("sub_vp", "sigmoid", "trigonometric")
NUM_SAMPLES = 4000


def draw(sampler, path, times, mixtures, num=NUM_SAMPLES, key=0):
    """Samples of one number each, every one with its own key, as models make them; of every mixture, compiled once."""
    moments = jnp.asarray([mixture.moments()[:2] for mixture in mixtures], jnp.float32)
    parameters = jax.tree.map(lambda *leaves: jnp.stack(leaves), *(mixture.arrays() for mixture in mixtures))

    @jax.jit
    def all_of(parameters, moments, keys):
        def one(parameters, moments, key):
            noise_key, key = jax.random.split(key)
            mean, std = moments
            # What x_t has of the data at the first time, so that the test is about the sampler.
            data_scale = jnp.hypot(path.sigma(times[0]), path.alpha(times[0]) * std)
            x = path.alpha(times[0]) * mean + data_scale * jax.random.normal(noise_key, (1,))
            return sampler.sample(Mixture(*parameters).denoiser(path), path, x, times, key=key).x

        return jax.vmap(jax.vmap(one, (None, None, 0)), (0, 0, None))(parameters, moments, keys)

    return np.asarray(all_of(parameters, moments, jax.random.split(jax.random.key(key), num)), np.float64)[
        ..., 0
    ]


@pytest.mark.parametrize(
    ("path_name", "sampler_name"),
    [
        pytest.param(
            path,
            sampler,
            marks=[pytest.mark.slow] * (path in LIKE_OTHERS and sampler not in ("ddim", "sde_euler")),
        )
        for path, sampler in itertools.product(PATHS, SAMPLERS)
    ],
)
def test_distributions(path_name, sampler_name):
    """Mean and spread within 4 standard errors and what the steps are off; the whole distribution by its distance."""
    path = make_path(PATHS[path_name])
    times = make_times(KarrasSpacingConfig(), path, 200)
    for mixture, x in zip(
        (GAUSSIAN, MIXTURE), draw(SAMPLERS[sampler_name], path, times, (GAUSSIAN, MIXTURE)), strict=True
    ):
        mean, std, fourth = mixture.moments()
        assert abs(x.mean() - mean) < 4 * std / np.sqrt(len(x)) + 0.005
        error_of_variance = np.sqrt((fourth - std**4) / len(x))
        assert abs(x.var() - std**2) < 4 * error_of_variance + 0.01
        assert kstest(x, mixture.cdf).statistic < 1.95 / np.sqrt(len(x)) + 0.01  # 1.95: p = 0.001


@pytest.mark.parametrize(("spacing_name", "sampler_name"), list(itertools.product(SPACINGS, SAMPLERS)))
def test_every_spacing_goes_with_every_sampler(spacing_name, sampler_name):
    """On the table of a DDPM, where all of them exist: few steps, so a wide gate on the moments."""
    path = make_path(DDPMPathConfig())
    times = make_times(SPACINGS[spacing_name], path, 50)
    (x,) = draw(SAMPLERS[sampler_name], path, times, [MIXTURE], num=2000)
    mean, std, _ = MIXTURE.moments()
    assert abs(x.mean() - mean) < 4 * std / np.sqrt(len(x)) + 0.03
    assert abs(x.std() - std) < 0.08


@pytest.mark.parametrize(
    ("name", "order", "evaluations"),
    [("ddim", 1, 1), ("heun", 2, 2), ("dpm_2m", 2, 1), ("dpm_2s", 2, 2), ("unipc", 3, 1)],
)
@pytest.mark.parametrize(
    "path_name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * (name not in ("vp", "edm", "linear", "cosine")))
        for name in PATHS
    ],
)
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
    for num_steps in (25, 50):
        times = path.time(jnp.linspace(high, low, num_steps + 1))
        sampled = jax.jit(lambda times: sampler.sample(denoise, path, x, times, key=jax.random.key(0)))(times)
        assert sampled.num_evaluations == num_steps * evaluations
        errors.append(float(jnp.abs(sampled.x - exact).max()))
    assert abs(np.log2(errors[0] / errors[1]) - order) < 0.35


@pytest.mark.parametrize(("name", "order"), [("ancestral", 1), ("dpm_2m_sde", 2)])
@pytest.mark.parametrize("path_name", ["vp", "edm"])
def test_weak_order_of_stochastic_samplers(name, order, path_name):
    """Of the variance, for one Gaussian, with no Monte-Carlo error.

    Samples are a linear function of the first x and of all noises drawn. Its factors follow from more entries than
    there are noises, each entry with noises of its own, and give the variance.
    """
    path, sampler, scale = make_path(PATHS[path_name]), SAMPLERS[name], 0.4
    denoise = Mixture((1.0,), (0.0,), (scale,)).denoiser(path)
    first, last = (path.time(-2.0 * jnp.log(jnp.float32(ratio))) for ratio in (3.0, 0.1))
    variance = lambda t: float(path.alpha(t) ** 2 * scale**2 + path.sigma(t) ** 2)  # noqa: E731
    high, low = path.log_snr(jnp.stack([first, last]))
    key, errors = jax.random.key(1), []
    for num_steps in (16, 32):
        times = path.time(jnp.linspace(high, low, num_steps + 1))
        x = np.sqrt(variance(first)) * jax.random.normal(jax.random.key(2), (4 * num_steps,))
        sampled = jax.jit(lambda x, times: sampler.sample(denoise, path, x, times, key=key).x)(x, times)
        noises = [jax.random.normal(jax.random.fold_in(key, i), x.shape) for i in range(num_steps)]
        inputs = np.stack([x / np.sqrt(variance(first)), *noises], axis=1).astype(np.float64)
        factors, _, rank, _ = np.linalg.lstsq(inputs, np.asarray(sampled, np.float64))
        assert rank == num_steps + 1
        np.testing.assert_allclose(inputs @ factors, sampled, atol=2e-5)
        errors.append(abs(np.sum(factors**2) - variance(last)))
    assert abs(np.log2(errors[0] / errors[1]) - order) < 0.35


@pytest.mark.parametrize(
    ("solver", "order", "stages"),
    [(diffrax.Euler(), 1, 1), (diffrax.Heun(), 2, 2), (diffrax.Bosh3(), 3, 4), (diffrax.Tsit5(), 5, 7)],
)
@pytest.mark.parametrize(
    ("path_name", "variable"),
    [("vp", AngleVariable()), ("edm", AngleVariable()), ("linear", TimeVariable())],
)
def test_order_of_ode_solvers(solver, order, stages, path_name, variable):
    """Towards the same exact flow, with steps that are equal in the variable.

    In float32 a method of order 5 passes from steps too long for its order to round-off at once: its errors fall at
    least as the fourth power, on a narrower Gaussian, whose flow is harder.
    """
    scale, numbers = (0.1, (4, 12)) if order > 3 else (0.4, (8, 16))
    path, mixture = make_path(PATHS[path_name]), Mixture((1.0,), (0.5,), (scale,))
    denoise, sampler = mixture.denoiser(path), ODESampler(solver, variable)
    first, last = (path.time(-2.0 * jnp.log(jnp.float32(ratio))) for ratio in (3.0, 0.25 * scale))
    spread = lambda t: jnp.sqrt(path.alpha(t) ** 2 * scale**2 + path.sigma(t) ** 2)  # noqa: E731
    x = path.alpha(first) * 0.5 + spread(first) * jnp.array([1.3, -0.7])
    exact = path.alpha(last) * 0.5 + spread(last) * jnp.array([1.3, -0.7])
    ends = variable.at(path, jnp.stack([first, last]))
    errors = []
    for num_steps in numbers:
        u = jnp.linspace(ends[0], ends[1], num_steps + 1)
        times = jax.vmap(lambda u: variable.time(path, u))(u)
        sampled = jax.jit(lambda times: sampler.sample(denoise, path, x, times, key=jax.random.key(0)))(times)
        assert sampled.num_evaluations == num_steps * stages
        errors.append(float(jnp.abs(sampled.x - exact).max()))
    rate = np.log(errors[0] / errors[1]) / np.log(numbers[1] / numbers[0])
    assert (rate > 4) if order > 3 else abs(rate - order) < 0.35


def test_adaptive_steps():
    """The error follows the tolerance, evaluations are those of the steps, and the exact flow is met."""
    path, mixture = make_path(PATHS["vp"]), Mixture((1.0,), (0.5,), (0.2,))
    calls = []

    def denoise(x, t):
        jax.debug.callback(lambda: calls.append(1))
        return mixture.denoiser(path)(x, t)

    times = path.time(-2.0 * jnp.log(jnp.array([3.0, 0.5, 0.05])))
    spread = jnp.sqrt(path.alpha(times) ** 2 * 0.2**2 + path.sigma(times) ** 2)
    exact = path.alpha(times)[:, None] * 0.5 + spread[:, None] * jnp.array([[1.3, -0.7]])
    errors, numbers = [], []
    for tolerance in (1e-2, 1e-5):
        for solver in (diffrax.Heun(), diffrax.Tsit5()):
            sampler = AdaptiveODESampler(solver, rtol=tolerance, atol=tolerance)
            calls.clear()
            sampled = sampler.sample(
                denoise, path, exact[0], times, key=jax.random.key(0), keep_trajectory=True
            )
            jax.block_until_ready(sampled.x)
            jax.effects_barrier()
            assert len(calls) == sampled.num_evaluations
        errors.append(float(jnp.abs(sampled.x - exact[-1]).max()))
        numbers.append(int(sampled.num_evaluations))
    np.testing.assert_allclose(sampled.trajectory, exact, atol=1e-3)
    assert errors[1] < min(1e-4, 0.2 * errors[0])
    assert numbers[1] > numbers[0]


def test_solvers_that_cannot_serve():
    """Implicit ones, whose evaluations nobody can count; Euler's method, which knows no error."""
    with pytest.raises(TypeError, match="`solver` must be explicit"):
        ODESampler(diffrax.Kvaerno3())
    with pytest.raises(TypeError, match="must estimate its error"):
        AdaptiveODESampler(diffrax.Euler())


@pytest.mark.parametrize(
    ("config", "sampler"),
    [
        (ODESamplerConfig(solver="bosh3", variable="time"), ODESampler(diffrax.Bosh3(), TimeVariable())),
        (AdaptiveODESamplerConfig(rtol=1e-3), AdaptiveODESampler(rtol=1e-3)),
        (SDESamplerConfig(solver="heun", eta=0.5), SDESampler(diffrax.Heun(), eta=0.5)),
        (UniPCSamplerConfig(), UniPCSampler()),
        (LangevinSamplerConfig(eta=0.0, snr=0.1), LangevinSampler(DDIMSampler(), snr=0.1)),
        (RestartSamplerConfig(num_restarts=3), RestartSampler(num_restarts=3)),
    ],
)
def test_configs(config, sampler):
    """Their fields arrive."""
    assert eqx.tree_equal(make_sampler(config), sampler)


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


@pytest.mark.parametrize("name", ["ddim", "ancestral", "dpm_2m", "dpm_2m_sde", "dpm_2s", "heun", "unipc"])
@pytest.mark.parametrize("path_name", ["vp", "edm", "linear"])
def test_step_to_the_data(name, path_name):
    """It gives the denoiser's estimate itself, also from where little noise is left."""
    path = make_path(PATHS[path_name])
    denoise, x = MIXTURE.denoiser(path), jnp.array([0.7, -0.4])
    times = jnp.append(path.time(-2.0 * jnp.log(jnp.array([0.004, 0.002]))), 0.0)
    sampled = SAMPLERS[name].sample(denoise, path, x, times, key=jax.random.key(0), keep_trajectory=True)
    before = sampled.trajectory[-2]
    if name == "unipc":  # it corrects where it is first; by less than a thousandth of the noise that is left
        np.testing.assert_allclose(sampled.x, denoise(before, times[-2]).data, rtol=1e-5, atol=2e-6)
    else:
        np.testing.assert_allclose(sampled.x, denoise(before, times[-2]).data, rtol=2e-6)


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
        # What round-off does to the lengths of adaptive steps is within their tolerance.
        atol = 1e-4 if name == "ode_adaptive" else 1e-6
        np.testing.assert_allclose(together.x[0], alone.x, rtol=1e-5, atol=atol)
        is_stochastic = name in (
            "ancestral",
            "half_stochastic",
            "dpm_2m_sde",
            "heun_churn",
            "sde_euler",
            "sde_heun",
            "langevin",
            "restart",
        )
        assert (np.abs(alone.x - other.x).max() > 1e-3) == is_stochastic
