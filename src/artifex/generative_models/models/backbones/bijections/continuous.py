"""Continuous normalizing flows as bijections: solutions of an ordinary differential equation.

    dx/dt = v(x, t; c),   x(1) the latent, x(0) the data,

with a network v. Source: Chen et al. 2018, arXiv:1806.07366, section 4.
"""

import math

import diffrax
import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Key

from artifex.generative_models.core.configuration import ContinuousConfig
from artifex.generative_models.core.sampling import Probes, Solve, Transported, make_probes
from artifex.generative_models.core.sampling.make import make_solver
from artifex.generative_models.models.backbones.bijections.base import (
    AbstractSameShapeBijection,
    Condition,
    Example,
    LogDet,
)
from artifex.generative_models.models.backbones.denoisers import AbstractDenoiserNetwork, make_denoiser

_LEVEL = 10.0  # of the latent; with 1,000, as of noise levels, velocities would oscillate too fast to solve
_LATENT_TIME, _DATA_TIME = 1.0, 0.0
_ADJOINTS = {
    "checkpointed": diffrax.RecursiveCheckpointAdjoint(),
    "backsolve": diffrax.BacksolveAdjoint(),
    "direct": diffrax.DirectAdjoint(),
}


class Continuous(AbstractSameShapeBijection):
    """The map from latents to data along a learned velocity.

    Attributes:
        network: the velocity.
        config: how the equation is solved.
    """

    network: AbstractDenoiserNetwork
    config: ContinuousConfig = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: ContinuousConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int = 0,
        key: Key[Array, ""],
    ):
        """Random weights, such that the map begins near the identity.

        Args:
            config: network and solver.
            event_shape: any that the network takes.
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the weights.
        """
        self.network = make_denoiser(config.network, event_shape, condition_size=condition_size, key=key)
        self.config = config
        self.event_shape = event_shape
        self.condition_size = condition_size

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        end = self.forward_with_probes(x, condition, probes=self._basis())
        return end.y, end.log_det

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        end = self.inverse_with_probes(y, condition, probes=self._basis())
        return end.y, end.log_det

    def forward_alone(self, x: Example, condition: Condition | None) -> Example:
        """From latent to data, without any derivative."""
        return self._solve().transport(_Velocity(self.network, condition), x, _LATENT_TIME, _DATA_TIME)

    def inverse_alone(self, y: Example, condition: Condition | None) -> Example:
        """From data to latent, without any derivative."""
        return self._solve().transport(_Velocity(self.network, condition), y, _DATA_TIME, _LATENT_TIME)

    def forward_with_probes(self, x: Example, condition: Condition | None, *, probes: Probes) -> Transported:
        """From latent to data, with the log-determinant by the given directions."""
        velocity = _Velocity(self.network, condition)
        return self._solve().transport_with_log_det(velocity, x, _LATENT_TIME, _DATA_TIME, probes=probes)

    def inverse_with_probes(
        self, y: Example, condition: Condition | None, *, probes: Probes, has_energies: bool = False
    ) -> Transported:
        """From data to latent, with the log-determinant by the given directions, and maybe the energies."""
        velocity = _Velocity(self.network, condition)
        return self._solve().transport_with_log_det(
            velocity, y, _DATA_TIME, _LATENT_TIME, probes=probes, has_energies=has_energies
        )

    def _basis(self) -> Probes:
        return make_probes(
            self.event_shape, max_exact_size=math.prod(self.event_shape), num_probes=1, key=None
        )

    def _solve(self) -> Solve:
        config = self.config
        return Solve(
            make_solver(config.solver),
            config.rtol,
            config.atol,
            config.max_steps,
            config.num_steps,
            _ADJOINTS[config.adjoint],
        )


class _Velocity(eqx.Module):
    """The network as a function of time and example."""

    network: AbstractDenoiserNetwork
    condition: Array | None

    def __call__(self, t: Array, x: Example) -> Example:
        return self.network(x, _LEVEL * jnp.asarray(t, jnp.float32), self.condition)
