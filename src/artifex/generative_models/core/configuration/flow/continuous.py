"""Configs of continuous normalizing flows."""

from typing import Literal

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.diffusion.networks import DenoiserConfig, MLPDenoiserConfig
from artifex.generative_models.core.configuration.diffusion.samplers import RungeKutta
from artifex.generative_models.core.configuration.fields import (
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)
from artifex.generative_models.core.configuration.flow.bijections import BijectionConfig
from artifex.generative_models.core.configuration.flow.models import FlowConfig


@config("continuous")
class ContinuousConfig(BijectionConfig):
    """The solution of dx/dt = network(x, t) from t = 1, the latent, to t = 0, the data.

    As a layer among others its log-determinant is exact, at as many derivatives as an example has entries.

    Attributes:
        network: the velocity; smooth activations only.
        solver: its name in diffrax.
        num_steps: so many equal steps; none: as many as the tolerance asks for. Where steps are too long for the
            velocity, densities do not integrate to 1, and training finds such velocities unless `cnf` weighs energies.
        rtol: relative error of a step, without `num_steps`.
        atol: absolute error of a step, without `num_steps`.
        max_steps: more are an error.
        adjoint: how gradients are taken. "checkpointed": of the steps as they were made, with memory for a part of
            them; "backsolve": of the equation, solved backwards, with memory for one step and an error of its own
            (Chen et al. 2018, arXiv:1806.07366, appendix B); "direct": of all steps, also in forward mode.
    """

    network: DenoiserConfig = MLPDenoiserConfig(hidden_size=64, num_layers=2)
    solver: Literal["euler"] | RungeKutta = "tsit5"
    num_steps: PositiveInt | None = None
    rtol: PositiveFloat = 1e-5
    atol: PositiveFloat = 1e-5
    max_steps: PositiveInt = 4096
    adjoint: Literal["checkpointed", "backsolve", "direct"] = "checkpointed"

    def __post_init__(self) -> None:
        if self.solver == "euler" and self.num_steps is None:
            raise ValueError(
                "the solver 'euler' does not estimate its error: give `num_steps`, or take another, such as 'heun'"
            )


@config("cnf")
class CNFConfig(FlowConfig):
    """A continuous normalizing flow, with the divergence exact or estimated (FFJORD), maybe regularised (RNODE).

    Sources: Grathwohl et al. 2019, arXiv:1810.01367; Finlay et al. 2020, arXiv:2002.02798.

    Attributes:
        bijection: the equation and how it is solved.
        max_exact_size: up to so many entries of an example the divergence is exact, at as many derivatives; larger
            examples take Hutchinson's estimate, in training and in `log_prob`.
        num_probes: random directions of that estimate.
        noise: their distribution: random signs, which have the least variance, or standard normal.
        kinetic_weight: weight of the integral of the squared velocity in the loss.
        jacobian_weight: weight of the integral of the squared Frobenius norm of the velocity's Jacobian.
    """

    bijection: ContinuousConfig = ContinuousConfig()
    max_exact_size: NonNegativeInt = 8
    num_probes: PositiveInt = 1
    noise: Literal["rademacher", "gaussian"] = "rademacher"
    kinetic_weight: NonNegativeFloat = 0.0
    jacobian_weight: NonNegativeFloat = 0.0
