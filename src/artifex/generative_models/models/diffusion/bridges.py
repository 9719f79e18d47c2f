"""The way from a source to data along a stochastic interpolant, for one example.

    x_t = alpha(t) data + sigma(t) source + gamma(t) z,   gamma = s sqrt(t (1 - t)),   t = 0 data, t = 1 source

With v = E[alpha' data + sigma' source | x_t] and eta_z = E[z | x_t], the distributions of x_t are those of the ODE
dx/dt = v + gamma' eta_z, and of the same with noise, as the score is -eta_z / gamma. gamma' is infinite at both ends,
but not in the angle u with t = sin^2 u:

    dx/du = sin(2u) v + s cos(2u) eta_z,                                   the ODE,
    dx = -[sin(2u) v + s cos(2u) eta_z + eta s eta_z] dw + s sqrt(eta sin(2u)) dB,   w = pi/2 - u,

the latter with the diffusion eta s^2 / 2 in t, of which eta = 1 is that of the Brownian bridge.

Sources: Albergo et al. 2023, arXiv:2303.08797, theorem 2.8 and corollary 2.10 (whose time runs the other way) and
section 2.5 (v and eta_z apart); Tong et al. 2023, arXiv:2302.00482, section 3.2.3 (Brownian bridge). The angle is ours.
"""

from collections.abc import Callable
from typing import Any

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import lineax
from jaxtyping import Array, Float, Key

from artifex.generative_models.models.diffusion.paths import AbstractPath

Example = Float[Array, "..."]
Scalar = Float[Array, ""]


class Bridge(eqx.Module):
    """An interpolant.

    Attributes:
        path: alpha and sigma.
        scale: s of gamma.
    """

    path: AbstractPath
    scale: float = eqx.field(static=True, default=0.0)

    def gamma(self, t: Scalar) -> Scalar:
        """Standard deviation of the noise between the ends."""
        return self.scale * jnp.sqrt(jnp.clip(t * (1.0 - t), 0.0))

    def at(self, data: Example, source: Example, z: Example, t: Scalar) -> Example:
        """The interpolant."""
        return self.path.alpha(t) * data + self.path.sigma(t) * source + self.gamma(t) * z

    def velocity(self, data: Example, source: Example, t: Scalar) -> Example:
        """Its rate of change, but for that of gamma."""
        alpha, sigma = self.path.derivatives(t)
        return alpha * data + sigma * source

    def follow(
        self,
        estimates: Callable[[Example, Scalar], tuple[Example, Example]],
        x: Example,
        solver: diffrax.AbstractSolver,
        num_steps: int,
        *,
        eta: float = 0.0,
        key: Key[Array, ""] | None = None,
        is_backward: bool = False,
    ) -> Example:
        """From the source to the data.

        Args:
            estimates: v and eta_z, as a function of x_t and t.
            x: the source.
            solver: any of diffrax's with fixed steps.
            num_steps: equal steps of the angle.
            eta: amount of noise.
            key: randomness of that noise.
            is_backward: from the data to the source instead, by the ODE.

        Raises:
            ValueError: noise without a key.
        """
        if eta > 0 and key is None:
            raise ValueError("`eta` above 0 draws noise on the way: give `key`")
        sign = 1.0 if is_backward else -1.0

        def drift(w: Any, x: Any, args: Any) -> Any:
            u = w if is_backward else 0.5 * jnp.pi - w
            velocity, noise = estimates(x, jnp.sin(u) ** 2)
            return sign * (jnp.sin(2 * u) * velocity + self.scale * (jnp.cos(2 * u) + eta) * noise)

        def diffusion(w: Any, x: Any, args: Any) -> lineax.AbstractLinearOperator:
            size = self.scale * jnp.sqrt(eta * jnp.clip(jnp.sin(2 * w), 0.0))
            return lineax.DiagonalLinearOperator(jnp.full(x.shape, size))

        term: Any = diffrax.ODETerm(drift)
        if key is not None and eta > 0:
            brownian = diffrax.UnsafeBrownianPath(shape=x.shape, key=key)
            term = diffrax.MultiTerm(term, diffrax.ControlTerm(diffusion, brownian))
        stops = jnp.linspace(0.0, 0.5 * jnp.pi, num_steps + 1)

        def step(x: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
            start, end = pair
            state = solver.init(term, start, end, x, None)
            return solver.step(term, start, end, x, None, state, made_jump=False)[0], None

        return jax.lax.scan(step, x, (stops[:-1], stops[1:]))[0]
