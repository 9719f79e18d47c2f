"""Configs of samplers from noise to data."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from artifex.generative_models.core.configuration.base import Config, ConfigError, config, config_kinds
from artifex.generative_models.core.configuration.fields import (
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    UnitFloat,
)
from artifex.utils.messages import unknown_name

RungeKutta = Literal["heun", "midpoint", "ralston", "bosh3", "dopri5", "tsit5", "dopri8"]
Variable = Literal["angle", "time"]


# What samplers are called elsewhere.
CUSTOMARY_SAMPLERS: Mapping[str, Mapping[str, Any]] = {
    "ddpm": {"kind": "ddim", "eta": 1.0},
    "dpmpp_2m": {"kind": "dpm_solver_multistep"},
    "dpmpp_2m_sde": {"kind": "dpm_solver_multistep", "is_stochastic": True},
    "dpmpp_2s": {"kind": "dpm_solver_singlestep"},
    "euler": {"kind": "ddim"},
    "euler_ancestral": {"kind": "ddim", "eta": 1.0},
}


@config()
class SamplerConfig(Config):
    """A way from noise to data. Every sampler goes with every spacing, and with every model that denoises; the sampler
    of consistency models goes with these alone, and they with it.

    A name alone is short for a config: a kind, such as "unipc", with the other fields as they are by default, or a
    customary name, such as "dpmpp_2m", out of `CUSTOMARY_SAMPLERS`.
    """

    short_form: ClassVar[Mapping[str, Any] | None] = {"type": "string"}

    @classmethod
    def coerce(cls, value: Any) -> Any:
        """A string is taken for the name of a sampler."""
        if not isinstance(value, str):
            return value
        names = (*CUSTOMARY_SAMPLERS, *config_kinds(SamplerConfig))
        if value not in names:
            raise ConfigError(unknown_name("sampler", value, names))
        return CUSTOMARY_SAMPLERS.get(value, {"kind": value})


@config("ddim")
class DDIMSamplerConfig(SamplerConfig):
    """DDIM, one evaluation a step (Song et al. 2021, arXiv:2010.02502).

    Attributes:
        eta: share of fresh noise: 0 deterministic, 1 ancestral sampling (DDPM, Euler ancestral).
    """

    eta: UnitFloat = 0.0


@config("heun")
class HeunSamplerConfig(SamplerConfig):
    """EDM's sampler, two evaluations a step (Karras et al. 2022, arXiv:2206.00364, algorithm 2).

    Attributes:
        churn: noise put back at each step, as part of what is there: S_churn / num_steps.
        churn_min: least sigma / alpha at which it is.
        churn_max: largest such.
        noise_scale: standard deviation of that noise.
    """

    churn: NonNegativeFloat = 0.0
    churn_min: NonNegativeFloat = 0.0
    churn_max: PositiveFloat = 1e6
    noise_scale: PositiveFloat = 1.0


@config("dpm_solver_multistep")
class DPMSolverMultistepSamplerConfig(SamplerConfig):
    """DPM-Solver++ 2M, one evaluation a step (Lu et al. 2022, arXiv:2211.01095).

    Attributes:
        is_stochastic: solve the reverse SDE in place of the probability-flow ODE.
    """

    is_stochastic: bool = False


@config("dpm_solver_singlestep")
class DPMSolverSinglestepSamplerConfig(SamplerConfig):
    """DPM-Solver++ 2S, two evaluations a step (Lu et al. 2022, arXiv:2211.01095)."""


@config("ode")
class ODESamplerConfig(SamplerConfig):
    """The probability-flow ODE, one step of a diffrax solver between times (Song et al. 2021, arXiv:2011.13456).

    Attributes:
        solver: its name in diffrax; a step takes as many evaluations as it has stages.
        variable: in which it is solved: the angle atan2(sigma, alpha), or the path's time, which is for paths whose
            sigma is smooth at t = 0 (linear, EDM).
    """

    solver: Literal["euler"] | RungeKutta = "heun"
    variable: Variable = "angle"


@config("adaptive_ode")
class AdaptiveODESamplerConfig(SamplerConfig):
    """The probability-flow ODE in steps as long as a tolerance allows; the times give ends, first step and stops.

    Attributes:
        solver: its name in diffrax.
        variable: in which it is solved, as for `ode`.
        rtol: error of a step, relative to x.
        atol: error of a step, absolute.
        max_steps: more are an error.
    """

    solver: RungeKutta = "tsit5"
    variable: Variable = "angle"
    rtol: PositiveFloat = 1e-4
    atol: PositiveFloat = 1e-4
    max_steps: PositiveInt = 4096


@config("sde")
class SDESamplerConfig(SamplerConfig):
    """The reverse SDE, one step of a diffrax solver between times (Song et al. 2021, arXiv:2011.13456).

    Attributes:
        solver: `euler` is Euler-Maruyama.
        eta: amount of noise; 0 is the probability-flow ODE.
    """

    solver: Literal["euler"] | RungeKutta = "euler"
    eta: NonNegativeFloat = 1.0


@config("unipc")
class UniPCSamplerConfig(SamplerConfig):
    """UniPC of order 2, one evaluation a step (Zhao et al. 2023, arXiv:2302.04867)."""


@config("langevin")
class LangevinSamplerConfig(SamplerConfig):
    """Predictor-corrector: Langevin steps after each of DDIM's (Song et al. 2021, arXiv:2011.13456, algorithms 2-5).

    Attributes:
        eta: share of fresh noise of the predictor, as for `ddim`.
        num_corrections: Langevin steps after each step.
        snr: their length.
    """

    eta: UnitFloat = 1.0
    num_corrections: PositiveInt = 1
    snr: PositiveFloat = 0.16


@config("restart")
class RestartSamplerConfig(SamplerConfig):
    """Heun's method, restarted from more noise on the way (Xu et al. 2023, arXiv:2306.14878).

    Attributes:
        low: sigma / alpha at which it goes back up.
        high: to where.
        num_restarts: how often.
        num_steps: steps of each way down again.
    """

    low: PositiveFloat = 0.1
    high: PositiveFloat = 1.0
    num_restarts: PositiveInt = 2
    num_steps: PositiveInt = 6

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"`high` must exceed `low`; got {self.high} and {self.low}. Swapped?")


@config("consistency")
class ConsistencySamplerConfig(SamplerConfig):
    """A jump to the data at every stop, then fresh noise up to the next (Song et al. 2023, arXiv:2303.01469)."""
