"""How the likelihood of a diffusion model is computed."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.diffusion.samplers import RungeKutta
from artifex.generative_models.core.configuration.fields import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)


@config("ode")
class LikelihoodODEConfig(Config):
    """log p(x) along the probability-flow ODE (Song et al. 2021, arXiv:2011.13456, equation 39).

    Attributes:
        max_exact_size: up to so many entries of an example the divergence is exact, at as many derivatives; larger
            examples take Hutchinson's estimate.
        num_probes: random directions of that estimate.
        sigma_min: the density is that of data with so much noise, which is where the ODE begins.
        solver: its name in diffrax.
        rtol: relative error of a step.
        atol: absolute error of a step.
        max_steps: more are an error.
    """

    max_exact_size: NonNegativeInt = 64
    num_probes: PositiveInt = 1
    sigma_min: NonNegativeFloat = 1e-3
    solver: RungeKutta = "tsit5"
    rtol: PositiveFloat = 1e-4
    atol: PositiveFloat = 1e-4
    max_steps: PositiveInt = 4096
