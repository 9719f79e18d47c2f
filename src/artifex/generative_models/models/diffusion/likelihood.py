"""Log-density of a diffusion model, by the change of variables along its probability-flow ODE.

With y = x / hypot(alpha, sigma) and the angle u = atan2(sigma, alpha), along dy/du = f(y, u) of
`core.sampling.variables`,

    d/du log p_u(y(u)) = -div f(y(u), u),    log p_0(y_0) = log N(y_1; 0, sin^2 u_1) + integral of div f du,

from u_0, where an example is x cos u_0, to u_1, where samplers begin with noise alone. f is bounded at both ends. The
divergence is the sum of d directional derivatives, or the mean of v^T (df/dy) v over random signs v, fixed for the
whole solve, whose mean it is.

Sources: Song et al. 2021, arXiv:2011.13456, equation 39; Chen et al. 2018, arXiv:1806.07366, theorem 1; the estimate:
Grathwohl et al. 2019, arXiv:1810.01367, equation 7.
"""

from typing import Any

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import LikelihoodODEConfig
from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling import AngleVariable, Denoiser
from artifex.generative_models.core.sampling.make import make_solver


def log_prob_by_ode(
    config: LikelihoodODEConfig,
    denoise: Denoiser,
    path: GaussianPath,
    x: Float[Array, "..."],
    *,
    key: Key[Array, ""] | None,
) -> Float[Array, ""]:
    """Log-density of one example, in nats, of data with noise of standard deviation `config.sigma_min`.

    Args:
        config: solver and divergence.
        denoise: the model.
        path: its path.
        x: the example.
        key: randomness of Hutchinson's estimate; None where the divergence is exact.

    Raises:
        ValueError: an estimate without a key.
    """
    variable = AngleVariable()
    start = jnp.arctan(jnp.float32(config.sigma_min))
    end = variable.at(path, jnp.float32(path.t_max))
    probes, share = _probes(config, x, key)

    def slope(u: Any, state: Any, args: Any) -> Any:
        velocity, derivative = jax.linearize(lambda y: variable.slope(denoise, path, u, y), state[0])
        return velocity, share * jnp.sum(probes * jax.vmap(derivative)(probes))

    solution = diffrax.diffeqsolve(
        diffrax.ODETerm(slope),
        make_solver(config.solver),
        t0=start,
        t1=end,
        dt0=None,
        y0=(jnp.cos(start) * x, jnp.zeros(())),
        stepsize_controller=diffrax.PIDController(rtol=config.rtol, atol=config.atol),
        max_steps=config.max_steps,
    )
    noise, divergence = jax.tree.map(lambda leaf: leaf[-1], solution.ys)
    log_noise = jnp.sum(jax.scipy.stats.norm.logpdf(noise, scale=jnp.sin(end)))
    return log_noise + divergence + x.size * jnp.log(jnp.cos(start))


def _probes(
    config: LikelihoodODEConfig, x: Array, key: Key[Array, ""] | None
) -> tuple[Float[Array, "probes ..."], float]:
    """Directions, and the weight of each: the sum over a basis, or the mean over random signs."""
    if x.size <= config.max_exact_size:
        return jnp.eye(x.size, dtype=x.dtype).reshape(x.size, *x.shape), 1.0
    if key is None:
        raise ValueError(
            f"the likelihood of examples of {x.size} entries is an estimate, which needs `key`; for an exact one set "
            f"`max_exact_size` {x.size} or more"
        )
    signs = jax.random.rademacher(key, (config.num_probes, *x.shape), x.dtype)
    return signs, 1.0 / config.num_probes
