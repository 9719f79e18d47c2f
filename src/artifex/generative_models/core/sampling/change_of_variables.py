"""Densities along an ordinary differential equation: the instantaneous change of variables.

Along dy/dt = f(y, t),

    d/dt log p_t(y(t)) = -div f(y(t), t),

so that the logarithm of the volume change is the integral of the divergence. With J = df/dy, the divergence is the sum
of v^T J v over a basis, or the mean over random v of covariance 1, fixed for a whole solve, whose expectation it is;
and the sum or mean of |J v|^2 is the squared Frobenius norm of J.

Sources: Chen et al. 2018, arXiv:1806.07366, theorem 1; the estimate: Grathwohl et al. 2019 (FFJORD), arXiv:1810.01367,
equation 7; the norm: Finlay et al. 2020, arXiv:2002.02798, section 3.2.
"""

import math
from typing import Any, Literal

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.sampling.base import Example, Scalar

Noise = Literal["rademacher", "gaussian"]


class Probes(eqx.Module):
    """Directions in which a vector field is differentiated.

    Attributes:
        directions: a basis, or random ones.
        share: weight of each.
    """

    directions: Float[Array, "probes ..."]
    share: float = eqx.field(static=True)


def make_probes(
    shape: tuple[int, ...],
    *,
    max_exact_size: int,
    num_probes: int,
    noise: Noise = "rademacher",
    key: Key[Array, ""] | None,
) -> Probes:
    """A basis for examples of few entries, random directions for larger ones.

    Args:
        shape: of one example.
        max_exact_size: up to so many entries the divergence is exact, at as many derivatives.
        num_probes: random directions.
        noise: their distribution: random signs, or standard normal.
        key: randomness of the directions; None where there is none.

    Raises:
        ValueError: random directions without a key.
    """
    size = math.prod(shape)
    if size <= max_exact_size:
        return Probes(jnp.eye(size).reshape(size, *shape), 1.0)
    if key is None:
        raise ValueError(
            f"the likelihood of examples of {size} entries is an estimate, which needs `key`; for an exact one set "
            f"`max_exact_size` {size} or more"
        )
    draw = jax.random.rademacher if noise == "rademacher" else jax.random.normal
    return Probes(draw(key, (num_probes, *shape), jnp.zeros(()).dtype), 1.0 / num_probes)


class Transported(eqx.Module):
    """An example at the end of a solve, and integrals over time along its way.

    Attributes:
        y: the example.
        log_det: integral of the divergence: log |det dy(end) / dy(start)|.
        kinetic: integral of |f|^2; negative where time runs backwards.
        jacobian: integral of the squared Frobenius norm of df/dy; negative where time runs backwards.
    """

    y: Example
    log_det: Scalar
    kinetic: Scalar
    jacobian: Scalar


class _WithIntegrals(eqx.Module):
    """The vector field of an example and of what is integrated along its way; a module, as some adjoints need."""

    velocity: Any
    probes: Probes
    has_energies: bool = eqx.field(static=True)

    def __call__(self, t: Any, state: tuple[Array, ...], args: Any) -> tuple[Array, ...]:
        t = jnp.asarray(t)
        velocity, derivative = jax.linearize(lambda y: self.velocity(t, y), state[0])
        products = jax.vmap(derivative)(self.probes.directions.astype(velocity.dtype))
        divergence = self.probes.share * jnp.sum(self.probes.directions * products)
        if not self.has_energies:
            return velocity, divergence
        return velocity, divergence, jnp.sum(velocity**2), self.probes.share * jnp.sum(products**2)


class _Alone(eqx.Module):
    """The vector field of an example."""

    velocity: Any

    def __call__(self, t: Any, state: Array, args: Any) -> Array:
        return self.velocity(jnp.asarray(t), state)


class Solve(eqx.Module):
    """How an equation is solved.

    Attributes:
        solver: explicit.
        rtol: relative error of a step.
        atol: absolute error of a step.
        max_steps: more are an error.
        num_steps: so many equal steps, whatever their error; None: by the tolerances.
        adjoint: how derivatives of the solution are taken.
    """

    solver: diffrax.AbstractSolver
    rtol: float = eqx.field(static=True)
    atol: float = eqx.field(static=True)
    max_steps: int = eqx.field(static=True)
    num_steps: int | None = eqx.field(static=True, default=None)
    adjoint: diffrax.AbstractAdjoint = diffrax.RecursiveCheckpointAdjoint()

    def transport(self, velocity: Any, y: Example, start: Any, end: Any) -> Example:
        """The example at time `end`, from time `start`.

        Args:
            velocity: a function, or a module, of time and example; its parameters may only be those of a module where
                the adjoint is diffrax's `BacksolveAdjoint`.
            y: the example at time `start`.
            start: time.
            end: time, before or after it.
        """
        return self._solve(_Alone(velocity), y, start, end)

    def transport_with_log_det(
        self, velocity: Any, y: Example, start: Any, end: Any, *, probes: Probes, has_energies: bool = False
    ) -> Transported:
        """The example at time `end`, the logarithm of the volume change, and energies where they are asked for."""
        zero = jnp.zeros((), jnp.promote_types(y.dtype, jnp.float32))
        state = (y, zero, zero, zero) if has_energies else (y, zero)
        y, *integrals = self._solve(_WithIntegrals(velocity, probes, has_energies), state, start, end)
        log_det, kinetic, jacobian = integrals if has_energies else (*integrals, zero, zero)
        return Transported(y, log_det, kinetic, jacobian)

    def _solve(self, field: Any, state: Any, start: Any, end: Any) -> Any:
        num_steps = self.num_steps
        solution = diffrax.diffeqsolve(
            diffrax.ODETerm(field),
            self.solver,
            t0=start,
            t1=end,
            dt0=None if num_steps is None else (end - start) / num_steps,
            y0=state,
            stepsize_controller=diffrax.PIDController(rtol=self.rtol, atol=self.atol)
            if num_steps is None
            else diffrax.ConstantStepSize(),
            max_steps=self.max_steps if num_steps is None else num_steps + 1,  # one may be left by rounding
            adjoint=self.adjoint,
        )
        return jax.tree.map(lambda leaf: leaf[-1], solution.ys)
