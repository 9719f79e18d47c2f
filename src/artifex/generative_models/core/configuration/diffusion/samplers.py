"""Configs of samplers from noise to data."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import NonNegativeFloat, PositiveFloat, UnitFloat


@config()
class SamplerConfig(Config):
    """A way from noise to data. Every sampler goes with every model and every spacing."""


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
