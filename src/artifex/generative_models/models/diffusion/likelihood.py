"""Log-density of a diffusion model, by the change of variables along its probability-flow ODE.

With y = x / hypot(alpha, sigma) and the angle u = atan2(sigma, alpha), along dy/du = f(y, u) of
`core.sampling.variables`,

    log p_0(y_0) = log N(y_1; 0, sin^2 u_1) + integral of div f du

from u_0, where an example is x cos u_0, to u_1, where samplers begin with noise alone. f is bounded at both ends. The
divergence is that of `core.sampling.change_of_variables`.

Source: Song et al. 2021, arXiv:2011.13456, equation 39.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import LikelihoodODEConfig
from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling import AngleVariable, Denoiser, Solve, make_probes
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
    solve = Solve(make_solver(config.solver), config.rtol, config.atol, config.max_steps)
    probes = make_probes(x.shape, max_exact_size=config.max_exact_size, num_probes=config.num_probes, key=key)
    noise = solve.transport_with_log_det(
        lambda u, y: variable.slope(denoise, path, u, y), jnp.cos(start) * x, start, end, probes=probes
    )
    log_noise = jnp.sum(jax.scipy.stats.norm.logpdf(noise.y, scale=jnp.sin(end)))
    return log_noise + noise.log_det + x.size * jnp.log(jnp.cos(start))
