"""Samplers from their configs."""

from functools import singledispatch

import diffrax

from artifex.generative_models.core.configuration import (
    AdaptiveODESamplerConfig,
    ConsistencySamplerConfig,
    DDIMSamplerConfig,
    DPMSolverMultistepSamplerConfig,
    DPMSolverSinglestepSamplerConfig,
    HeunSamplerConfig,
    LangevinSamplerConfig,
    ODESamplerConfig,
    RestartSamplerConfig,
    SamplerConfig,
    SDESamplerConfig,
    UniPCSamplerConfig,
)
from artifex.generative_models.core.sampling.base import AbstractSampler
from artifex.generative_models.core.sampling.consistency import ConsistencySampler
from artifex.generative_models.core.sampling.ddim import DDIMSampler
from artifex.generative_models.core.sampling.dpm_solver import (
    DPMSolverMultistepSampler,
    DPMSolverSinglestepSampler,
)
from artifex.generative_models.core.sampling.heun import HeunSampler
from artifex.generative_models.core.sampling.langevin import LangevinSampler
from artifex.generative_models.core.sampling.ode import AdaptiveODESampler, ODESampler
from artifex.generative_models.core.sampling.restart import RestartSampler
from artifex.generative_models.core.sampling.sde import SDESampler
from artifex.generative_models.core.sampling.unipc import UniPCSampler
from artifex.generative_models.core.sampling.variables import AbstractVariable, AngleVariable, TimeVariable

_SOLVERS = {
    solver.__name__.lower(): solver
    for solver in (
        diffrax.Euler,
        diffrax.Heun,
        diffrax.Midpoint,
        diffrax.Ralston,
        diffrax.Bosh3,
        diffrax.Dopri5,
        diffrax.Tsit5,
        diffrax.Dopri8,
    )
}
_VARIABLES: dict[str, type[AbstractVariable]] = {"angle": AngleVariable, "time": TimeVariable}


def make_solver(name: str) -> diffrax.AbstractSolver:
    """The diffrax solver of a name of the configs."""
    return _SOLVERS[name]()


@singledispatch
def make_sampler(config: SamplerConfig) -> AbstractSampler:
    """The sampler that a config describes."""
    raise LookupError(f"no sampler is registered for {type(config).__name__}; use @make_sampler.register")


@make_sampler.register
def _(config: DDIMSamplerConfig) -> AbstractSampler:
    return DDIMSampler(eta=config.eta)


@make_sampler.register
def _(config: HeunSamplerConfig) -> AbstractSampler:
    return HeunSampler(config.churn, config.churn_min, config.churn_max, config.noise_scale)


@make_sampler.register
def _(config: DPMSolverMultistepSamplerConfig) -> AbstractSampler:
    return DPMSolverMultistepSampler(config.is_stochastic)


@make_sampler.register
def _(config: DPMSolverSinglestepSamplerConfig) -> AbstractSampler:
    return DPMSolverSinglestepSampler()


@make_sampler.register
def _(config: ODESamplerConfig) -> AbstractSampler:
    return ODESampler(make_solver(config.solver), _VARIABLES[config.variable]())


@make_sampler.register
def _(config: AdaptiveODESamplerConfig) -> AbstractSampler:
    return AdaptiveODESampler(
        make_solver(config.solver),
        _VARIABLES[config.variable](),
        rtol=config.rtol,
        atol=config.atol,
        max_steps=config.max_steps,
    )


@make_sampler.register
def _(config: SDESamplerConfig) -> AbstractSampler:
    return SDESampler(make_solver(config.solver), eta=config.eta)


@make_sampler.register
def _(config: UniPCSamplerConfig) -> AbstractSampler:
    return UniPCSampler()


@make_sampler.register
def _(config: LangevinSamplerConfig) -> AbstractSampler:
    return LangevinSampler(DDIMSampler(eta=config.eta), config.num_corrections, config.snr)


@make_sampler.register
def _(config: RestartSamplerConfig) -> AbstractSampler:
    return RestartSampler(HeunSampler(), config.low, config.high, config.num_restarts, config.num_steps)


@make_sampler.register
def _(config: ConsistencySamplerConfig) -> AbstractSampler:
    return ConsistencySampler()
