"""Samplers: ways from noise to data."""

from artifex.generative_models.core.sampling.base import AbstractSampler, AbstractStepSampler, Sampled
from artifex.generative_models.core.sampling.change_of_variables import (
    Probes,
    Solve,
    Transported,
    make_probes,
)
from artifex.generative_models.core.sampling.classifiers import ClassifierGuidance
from artifex.generative_models.core.sampling.consistency import ConsistencySampler, check_serves
from artifex.generative_models.core.sampling.constraints import Constraint, Energy
from artifex.generative_models.core.sampling.control import AbstractControl
from artifex.generative_models.core.sampling.ddim import DDIMSampler
from artifex.generative_models.core.sampling.dpm_solver import (
    DPMSolverMultistepSampler,
    DPMSolverSinglestepSampler,
)
from artifex.generative_models.core.sampling.estimates import Denoiser, Estimate
from artifex.generative_models.core.sampling.guidance import guided
from artifex.generative_models.core.sampling.heun import HeunSampler
from artifex.generative_models.core.sampling.inpainting import InpaintingSampler
from artifex.generative_models.core.sampling.langevin import LangevinSampler
from artifex.generative_models.core.sampling.make import make_sampler
from artifex.generative_models.core.sampling.measurements import LinearMeasurement
from artifex.generative_models.core.sampling.ode import AdaptiveODESampler, ODESampler
from artifex.generative_models.core.sampling.restart import RestartSampler
from artifex.generative_models.core.sampling.sde import SDESampler
from artifex.generative_models.core.sampling.spacings import checked_times, make_times
from artifex.generative_models.core.sampling.unipc import UniPCSampler
from artifex.generative_models.core.sampling.variables import AbstractVariable, AngleVariable, TimeVariable
