"""The probability-flow ODE, solved by diffrax.

    dy/du = slope of the denoiser's estimate in a variable of `sampling.variables`

either with one step of the solver from each of the sampler's times to the next, or with steps as long as an error
tolerance allows.

Source: Song et al. 2021, arXiv:2011.13456, equation 13; solvers: diffrax (Kidger 2022, arXiv:2202.02435).
"""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import (
    AbstractSampler,
    AbstractStepSampler,
    Example,
    Sampled,
    Scalar,
)
from artifex.generative_models.core.sampling.estimates import Denoiser
from artifex.generative_models.core.sampling.variables import AbstractVariable, AngleVariable


def evaluations_per_step(solver: diffrax.AbstractSolver) -> int:
    """How often an explicit solver asks for the slope in a step that stands alone.

    Raises:
        TypeError: the solver is not explicit, so that nobody can say.
    """
    if isinstance(solver, diffrax.Euler):
        return 1
    if not isinstance(solver, diffrax.AbstractERK) or not isinstance(solver.tableau, diffrax.ButcherTableau):
        raise TypeError(
            "`solver` must be explicit: diffrax.Euler() or an explicit Runge-Kutta method such as diffrax.Heun() or "
            f"diffrax.Tsit5(); got {solver!r}"
        )
    return solver.tableau.num_stages


def _is_fsal(solver: diffrax.AbstractSolver) -> bool:
    """Whether a step's last slope is the next one's first."""
    is_explicit = isinstance(solver, diffrax.AbstractERK)
    return is_explicit and isinstance(solver.tableau, diffrax.ButcherTableau) and solver.tableau.fsal


def _term(denoise: Denoiser, path: GaussianPath, variable: AbstractVariable) -> diffrax.ODETerm:
    return diffrax.ODETerm(lambda u, y, args: variable.slope(denoise, path, jnp.asarray(u), y))


class ODESampler(AbstractStepSampler):
    """One step of a diffrax solver between neighbouring times. Euler in the angle is DDIM to first order.

    Attributes:
        solver: explicit; a step has as many evaluations as the solver has stages.
        variable: in which it is of its order. The last step, to t = 0, needs the angle on most paths.
    """

    solver: diffrax.AbstractSolver = diffrax.Heun()
    variable: AbstractVariable = AngleVariable()

    def __check_init__(self) -> None:
        evaluations_per_step(self.solver)

    def first_memory(self, x: Example) -> tuple[()]:
        """None: a solver's state is made anew in each step, as times are not equally spaced."""
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
        term = _term(denoise, path, self.variable)
        start, end = self.variable.at(path, t), self.variable.at(path, s)
        y = self.variable.scale(path, start) * x
        state = self.solver.init(term, start, end, y, None)
        y = self.solver.step(term, start, end, y, None, state, made_jump=False)[0]
        count = jnp.full((), evaluations_per_step(self.solver), jnp.int32)
        return y / self.variable.scale(path, end), (), count


class AdaptiveODESampler(AbstractSampler):
    """Steps as long as a tolerance allows; the times give the two ends, the first step and the stops.

    Attributes:
        solver: an explicit Runge-Kutta method with an estimate of its error.
        variable: in which it is solved.
        rtol: error of a step, relative to y.
        atol: error of a step, absolute.
        max_steps: more are an error.
    """

    solver: diffrax.AbstractSolver = diffrax.Tsit5()
    variable: AbstractVariable = AngleVariable()
    rtol: float = eqx.field(static=True, default=1e-4)
    atol: float = eqx.field(static=True, default=1e-4)
    max_steps: int = eqx.field(static=True, default=4096)

    def __check_init__(self) -> None:
        if evaluations_per_step(self.solver) < 2:
            raise TypeError("`solver` must estimate its error; diffrax.Euler() does not. Use diffrax.Heun()")

    def sample(
        self,
        denoise: Denoiser,
        path: GaussianPath,
        x: Example,
        times: Float[Array, " stops"],
        *,
        key: Key[Array, ""],
        keep_trajectory: bool = False,
    ) -> Sampled:
        """All steps."""
        term = _term(denoise, path, self.variable)
        stops = self.variable.at(path, times)
        y = self.variable.scale(path, stops[0]) * x
        # With its first slope given, a solver whose first stage is the last of the step before asks for it never
        # again, even where its first step is refused; so the number of evaluations is that of the steps.
        state = (jnp.asarray(False), term.vf(stops[0], y, None)) if _is_fsal(self.solver) else None
        solution = diffrax.diffeqsolve(
            term,
            self.solver,
            t0=stops[0],
            t1=stops[-1],
            dt0=stops[1] - stops[0],
            y0=y,
            solver_state=state,
            saveat=diffrax.SaveAt(ts=stops if keep_trajectory else stops[-1:]),
            stepsize_controller=diffrax.PIDController(rtol=self.rtol, atol=self.atol),
            max_steps=self.max_steps,
        )
        saved = stops if keep_trajectory else stops[-1:]
        scales = jax.vmap(lambda u: self.variable.scale(path, u))(saved)
        xs = jnp.asarray(solution.ys) / scales.reshape(-1, *(1,) * x.ndim)
        return Sampled(
            x=xs[-1],
            trajectory=xs.at[0].set(x) if keep_trajectory else None,
            num_evaluations=self._evaluations(solution.stats["num_steps"]),
        )

    def _evaluations(self, num_steps: Int[Array, ""]) -> Int[Array, ""]:
        stages = evaluations_per_step(self.solver)
        if _is_fsal(self.solver):
            return (1 + (stages - 1) * num_steps).astype(jnp.int32)
        return (stages * num_steps).astype(jnp.int32)
