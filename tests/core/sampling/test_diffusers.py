"""Our samplers go where the schedulers of `diffusers` go, given what the same fixed network says.

The recorded trajectories come from `benchmarks/fixtures/diffusers_schedulers.py`. What differs by convention:

- theirs count levels from 0: their time step i is our t = (i + 1) / N;
- sigma-based schedulers keep x / alpha and know sigma / alpha; we keep x;
- the DPM-Solvers and UniPC make a whole number of a sigma's time step, some by rounding and some by cutting off,
  before they tell the network; here the network is told what theirs was;
- `leading` and `linspace` of the DPM-Solvers and UniPC leave out a level at either end, so they are given as times;
- both end with a step of first order to sigma 0; to any other end theirs does so if `lower_order_final`, ours never;
- where sigma / alpha is above e^9 ours is of first order, theirs where it is infinite: UniPC's flow starts below here;
- the middle of a 2S step is theirs on the grid and ours half-way in log-SNR: the same on a grid equal in log-SNR;
- the last step of `flow_heun`, of length 0.001, is theirs by Euler and ours by Heun, which differ by 2e-6 of x;
- their tables are products in float32 (see `test_tables`), ours in float64.
"""

import dataclasses
from pathlib import Path

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from artifex.generative_models.core.configuration import (
    DDPMPathConfig,
    EDMPathConfig,
    EDMPredictionConfig,
    KarrasSpacingConfig,
    LeadingSpacingConfig,
    LinearPathConfig,
    LogSNRSpacingConfig,
    NoisePredictionConfig,
    PathConfig,
    PredictionConfig,
    SpacingConfig,
    TrailingSpacingConfig,
    VelocityPredictionConfig,
    VPredictionConfig,
)
from artifex.generative_models.core.sampling import (
    AbstractSampler,
    DDIMSampler,
    DPMSolverMultistepSampler,
    DPMSolverSinglestepSampler,
    HeunSampler,
    ODESampler,
    TimeVariable,
    UniPCSampler,
    make_times,
)
from artifex.generative_models.models.diffusion.paths import alphas_squared, make_path
from artifex.generative_models.models.diffusion.predictions import make_prediction

RECORDED = load_file(Path(__file__).parents[2] / "fixtures" / "diffusers_schedulers.safetensors")

TABLE = DDPMPathConfig()
LATENT = DDPMPathConfig(betas="scaled_linear", beta_start=0.00085, beta_end=0.012)
COSINE = DDPMPathConfig(betas="cosine")
HEUN = DDPMPathConfig(beta_start=0.00085, beta_end=0.012)
SHORT = DDPMPathConfig(num_steps=40, beta_end=0.3)
LINEAR, EDM = LinearPathConfig(), EDMPathConfig()
NOISE, V, VELOCITY = NoisePredictionConfig(), VPredictionConfig(), VelocityPredictionConfig()
SDE = DPMSolverMultistepSampler(is_stochastic=True)


@dataclasses.dataclass(frozen=True)
class Case:
    """Our side of a recorded trajectory.

    Attributes:
        sampler: ours.
        path: ours.
        prediction: what the network's output is.
        spacing: ours that gives the same stops, where there is one.
        has_alpha_one: whether theirs keeps x / alpha.
        calls: their calls of `step` to one of ours.
        rounds: whether their network is told a whole number that is not the time.
    """

    sampler: AbstractSampler
    path: PathConfig = TABLE
    prediction: PredictionConfig = NOISE
    spacing: SpacingConfig | None = None
    has_alpha_one: bool = False
    calls: int = 1
    rounds: bool = False


def karras(path: DDPMPathConfig) -> KarrasSpacingConfig:
    """Between the ends of a table."""
    first, *_, last = np.sqrt(1 / alphas_squared(path) - 1)
    return KarrasSpacingConfig(sigma_min=first, sigma_max=last)


def equal(path: DDPMPathConfig) -> LogSNRSpacingConfig:
    """As well."""
    return LogSNRSpacingConfig(sigma_min=karras(path).sigma_min, sigma_max=karras(path).sigma_max)


TRAILING, LEADING = TrailingSpacingConfig(), LeadingSpacingConfig()
CASES = {
    "ddpm_all_levels": Case(DDIMSampler(1.0), SHORT, spacing=TrailingSpacingConfig(num_levels=40)),
    "ddpm_trailing": Case(DDIMSampler(1.0), spacing=TRAILING),
    "ddim_leading": Case(DDIMSampler(), spacing=LEADING),
    "ddim_trailing_v": Case(DDIMSampler(), prediction=V, spacing=TRAILING),
    "ddim_cosine": Case(DDIMSampler(), COSINE, spacing=LEADING),
    "ddim_ancestral": Case(DDIMSampler(1.0), spacing=LEADING),
    "ddim_half": Case(DDIMSampler(0.5), LATENT, V, spacing=LEADING),
    "ddim_to_first_level": Case(DDIMSampler(), LATENT),
    "dpm_2m": Case(DPMSolverMultistepSampler()),
    "dpm_2m_many": Case(DPMSolverMultistepSampler(), LATENT),
    "dpm_2m_trailing_v": Case(DPMSolverMultistepSampler(), prediction=V, spacing=TRAILING),
    "dpm_2m_karras": Case(DPMSolverMultistepSampler(), LATENT, spacing=karras(LATENT), rounds=True),
    "dpm_2m_cosine": Case(DPMSolverMultistepSampler(), COSINE),
    "dpm_2m_first_level": Case(DPMSolverMultistepSampler()),
    "dpm_2m_flow": Case(DPMSolverMultistepSampler(), LINEAR, VELOCITY, rounds=True),
    "dpm_2m_sde": Case(SDE),
    "dpm_2m_sde_karras_v": Case(SDE, prediction=V, spacing=karras(TABLE), rounds=True),
    "dpm_2s": Case(DPMSolverSinglestepSampler(), spacing=equal(TABLE), calls=2, rounds=True),
    "dpm_2s_v": Case(DPMSolverSinglestepSampler(), LATENT, V, spacing=equal(LATENT), calls=2, rounds=True),
    "heun": Case(HeunSampler(), HEUN, has_alpha_one=True, calls=2),
    "heun_karras_v": Case(HeunSampler(), LATENT, V, karras(LATENT), has_alpha_one=True, calls=2),
    "euler": Case(DDIMSampler(), has_alpha_one=True),
    "euler_karras_v": Case(DDIMSampler(), LATENT, V, karras(LATENT), has_alpha_one=True),
    "euler_ancestral": Case(DDIMSampler(1.0), has_alpha_one=True),
    "euler_ancestral_trailing_v": Case(DDIMSampler(1.0), LATENT, V, TRAILING, has_alpha_one=True),
    "unipc": Case(UniPCSampler()),
    "unipc_karras_v": Case(UniPCSampler(), LATENT, V, karras(LATENT), rounds=True),
    "unipc_flow": Case(UniPCSampler(), LINEAR, VELOCITY, rounds=True),
    "edm_euler": Case(DDIMSampler(), EDM, EDMPredictionConfig(), KarrasSpacingConfig()),
    "edm_dpm_2m": Case(DPMSolverMultistepSampler(), EDM, EDMPredictionConfig(), KarrasSpacingConfig()),
    "flow_euler": Case(DDIMSampler(), LINEAR, VELOCITY),
    "flow_euler_shifted": Case(DDIMSampler(), LINEAR, VELOCITY),
    "flow_heun": Case(ODESampler(diffrax.Heun(), TimeVariable()), LINEAR, VELOCITY, calls=2),
}


def network(x, level):
    """As in the script."""
    return level * x + (1.0 - level) * jnp.tanh(x + 0.5 * jnp.roll(x, 1) + 1.0)


def stops_of(array, calls):
    """What belongs to our stops: every second entry and the last, where two of their calls are one of our steps."""
    return array if calls == 1 else np.append(array[:-1:2], array[-1:], axis=0)


def recorded_times(name, case, path):
    """Our times of all that they tell the network, and of their end."""
    if case.path == LINEAR:
        return RECORDED[f"{name}.sigmas"]
    if f"{name}.sigmas" in RECORDED:
        with np.errstate(divide="ignore"):
            return np.asarray(path.time(jnp.asarray(-2.0 * np.log(RECORDED[f"{name}.sigmas"]))))
    last = 1.0 if name == "ddim_to_first_level" else 0.0
    return np.append(RECORDED[f"{name}.timesteps"] + 1.0, np.float32(last)) / case.path.num_steps


def make_denoiser(name, case, path):
    """The network, told what theirs was told."""
    prediction = make_prediction(case.prediction)
    stops = recorded_times(name, case, path)[:-1]
    told = (RECORDED[f"{name}.timesteps"] + (0.0 if case.path == LINEAR else 1.0)) / np.float32(1000.0)

    def denoise(x, t):
        level = path.sigma(t) / (1.0 + path.sigma(t)) if case.path == EDM else t
        if case.rounds:
            level = jnp.asarray(told)[jnp.argmin(jnp.abs(path.log_snr(jnp.asarray(stops)) - path.log_snr(t)))]
        output = network(prediction.input_scale(path, t) * x, level)
        return prediction.estimate(path, output, x, t)

    return denoise


@pytest.mark.parametrize("name", CASES)
def test_trajectories(name):
    """To 1e-5 of x at every stop; and the stops themselves, where a spacing of ours is theirs."""
    case = CASES[name]
    path = make_path(case.path)
    times = jnp.asarray(stops_of(recorded_times(name, case, path), case.calls))
    if case.spacing is not None:
        ours = make_times(case.spacing, path, len(times) - 1)
        np.testing.assert_allclose(path.log_snr(ours), path.log_snr(times), rtol=1e-4, atol=1e-4)
    theirs = stops_of(RECORDED[f"{name}.x"][:, 0], case.calls)
    if case.has_alpha_one:
        theirs = theirs * np.asarray(path.alpha(times))[:, None]
    denoise = make_denoiser(name, case, path)
    sampled = jax.jit(
        lambda x: case.sampler.sample(denoise, path, x, times, key=jax.random.key(7), keep_trajectory=True)
    )(jnp.asarray(theirs[0]))
    error = np.linalg.norm(sampled.trajectory - theirs, axis=1) / np.linalg.norm(theirs, axis=1)
    assert error.max() < 1e-5, error


def test_noise():
    """What the script drew is what our samplers draw with this key."""
    keys = [jax.random.fold_in(jax.random.key(7), i) for i in range(len(RECORDED["noises"]))]
    drawn = jnp.stack([jax.random.normal(key, (6,)) for key in keys])
    np.testing.assert_allclose(drawn, RECORDED["noises"][:, 0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "config"), [("linear", TABLE), ("scaled_linear", LATENT), ("cosine", COSINE)]
)
def test_tables(name, config):
    """All levels. Where alpha is nearly 1, float32 leaves them 3 digits of 1 - alpha^2."""
    theirs, path = RECORDED[f"alphas_cumprod.{name}"].astype(np.float64), make_path(config)
    ours = alphas_squared(config)
    np.testing.assert_allclose(1.0 - ours / np.append(1.0, ours[:-1]), RECORDED[f"betas.{name}"], rtol=1e-5)
    np.testing.assert_allclose(ours, theirs, rtol=2e-5)
    np.testing.assert_allclose(1.0 - ours, 1.0 - theirs, rtol=2e-5, atol=1e-7)
    t = jnp.arange(1, 1001) / 1000
    np.testing.assert_allclose(path.alpha(t), np.sqrt(theirs), rtol=1e-5)
    np.testing.assert_allclose(path.sigma(t) ** 2, 1.0 - theirs, rtol=2e-5, atol=1e-7)
