"""Samplers from their configs."""

from functools import singledispatch

from artifex.generative_models.core.configuration import (
    DDIMSamplerConfig,
    DPMSolverMultistepSamplerConfig,
    DPMSolverSinglestepSamplerConfig,
    HeunSamplerConfig,
    SamplerConfig,
)
from artifex.generative_models.core.sampling.base import AbstractSampler
from artifex.generative_models.core.sampling.ddim import DDIMSampler
from artifex.generative_models.core.sampling.dpm_solver import (
    DPMSolverMultistepSampler,
    DPMSolverSinglestepSampler,
)
from artifex.generative_models.core.sampling.heun import HeunSampler


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
