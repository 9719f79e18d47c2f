"""The reverse SDE, solved by diffrax.

Any amount nu of noise leaves the distributions along the path as they are, if the drift takes it out again:

    dy = [cos(u) noise - sin(u) data + nu^2 / (2 sin u) noise] du + nu dW,    u = atan2(sigma, alpha)

in reversed time, with y = x / hypot(alpha, sigma), whose score is -noise / sin u. With nu^2 = 2 tan u this is the
reversal of the variance-preserving SDE. tan u is infinite at pure noise, where fresh noise changes nothing anyhow; here

    nu^2 = eta^2 sin 2u = 2 eta^2 tan u cos^2 u,    nu^2 / (2 sin u) = eta^2 cos u,

the same near the data, and bounded at both ends. The last step, to where nothing of the noise is left, is DDIM's,
which at t = 0 gives the denoiser's estimate of the data.

Sources: Song et al. 2021, arXiv:2011.13456, equation 6; free choice of nu: Karras et al. 2022, arXiv:2206.00364,
equation 6.
"""

from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax
from jaxtyping import Array, Int, Key

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import AbstractStepSampler, Example, Scalar
from artifex.generative_models.core.sampling.estimates import Denoiser
from artifex.generative_models.core.sampling.ode import evaluations_per_step
from artifex.generative_models.core.sampling.variables import AngleVariable


class SDESampler(AbstractStepSampler):
    """One step of a diffrax solver between neighbouring times.

    The noise does not depend on y, so Ito and Stratonovich solvers solve the same equation.

    Attributes:
        solver: `diffrax.Euler()` (Euler-Maruyama) or an explicit Runge-Kutta method such as `diffrax.Heun()`.
        eta: amount of noise; 0 is the probability-flow ODE.
    """

    solver: diffrax.AbstractSolver = diffrax.Euler()
    eta: float = eqx.field(static=True, default=1.0)

    def __check_init__(self) -> None:
        evaluations_per_step(self.solver)

    def first_memory(self, x: Example) -> tuple[()]:
        """None."""
        return ()

    def step(
        self,
        denoise: Denoiser,
        path: GaussianPath,
        x: Example,
        memory: tuple[()],
        t: Scalar,
        s: Scalar,
        *,
        key: Key[Array, ""],
    ) -> tuple[Example, tuple[()], Int[Array, ""]]:
        """One step."""

        def to_data() -> tuple[Example, Int[Array, ""]]:
            estimate = denoise(x, t)
            return path.alpha(s) * estimate.data + path.sigma(s) * estimate.noise, jnp.ones((), jnp.int32)

        def between() -> tuple[Example, Int[Array, ""]]:
            return self._step(denoise, path, x, t, s, key), jnp.full(
                (), evaluations_per_step(self.solver), jnp.int32
            )

        # The same choice for all examples, so under `vmap` it stays a choice.
        x, count = jax.lax.cond(s <= 0, to_data, between)
        return x, (), count

    def _step(
        self, denoise: Denoiser, path: GaussianPath, x: Example, t: Scalar, s: Scalar, key: Key[Array, ""]
    ) -> Example:
        """In -u, which rises."""
        variable = AngleVariable()

        def drift(v: Any, y: Any, args: Any) -> Any:
            estimate = denoise(y / variable.scale(path, -v), variable.time(path, -v))
            extra = self.eta**2 * jnp.cos(v) * estimate.noise
            return -variable.combine(path, -v, estimate) - extra

        def diffusion(v: Any, y: Any, args: Any) -> lineax.AbstractLinearOperator:
            nu = self.eta * jnp.sqrt(jnp.maximum(jnp.sin(-2.0 * v), 0.0))
            return lineax.DiagonalLinearOperator(jnp.full(x.shape, nu))

        brownian = diffrax.UnsafeBrownianPath(shape=x.shape, key=key)
        terms = diffrax.MultiTerm(diffrax.ODETerm(drift), diffrax.ControlTerm(diffusion, brownian))
        start, end = -variable.at(path, t), -variable.at(path, s)
        y = variable.scale(path, -start) * x
        state = self.solver.init(terms, start, end, y, None)
        y = self.solver.step(terms, start, end, y, None, state, made_jump=False)[0]
        return y / variable.scale(path, -end)
