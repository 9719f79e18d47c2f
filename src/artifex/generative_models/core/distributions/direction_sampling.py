"""Cosines of directions around a mean: exact samples, with gradients.

In p dimensions the cosine w = m . x of a von Mises-Fisher direction has a density proportional to
exp(kappa w) (1 - w^2)^((p - 3) / 2). All arithmetic is on u = 1 - w, so that large kappa keep their precision.

Samples: Wood's rejection, an envelope from a beta variable, in a loop until all are accepted; at least about two thirds
are in each round. Source: Wood 1994, Simulation of the von Mises Fisher distribution; p = 2 is Best and Fisher 1979.

Gradients: with respect to kappa, that of the quantile, du/dkappa = -(dF/dkappa) / f, by quadrature.
Source: Figurnov et al. 2018, arXiv:1805.08498, equation 5.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.bessel import one_minus_mean_resultant

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)
# Beyond an exponent of this size below its start, an integrand is left out.
_DECAY = 40.0

Entries = Float[Array, "..."]


def sample_one_minus_cosine(key: Any, concentration: Entries, dim: int) -> Entries:
    """One sample of `1 - w` for each concentration, in [0, 2].

    Args:
        key: randomness.
        concentration: kappa, at least 0.
        dim: p, at least 2.
    """
    u = _reject(key, jax.lax.stop_gradient(concentration), dim)
    return _with_slope(u, concentration, dim)


def _reject(key: Any, concentration: Array, dim: int) -> Array:
    order = dim - 1
    # Wood's b, without cancellation; 1 - x0 = 2 b / (1 + b).
    b = order / (2 * concentration + jnp.sqrt(4 * jnp.square(concentration) + order**2))
    centre = 2 * b / (1 + b)

    def propose(key: Any) -> tuple[Array, Array]:
        beta_key, uniform_key = jax.random.split(key)
        z = _symmetric_beta(beta_key, order / 2, concentration)
        u = 2 * b * z / (1 - (1 - b) * z)
        # 1 - x0 w over 1 - x0^2, with w = 1 - u.
        ratio = (centre + (1 - centre) * u) / (centre * (2 - centre))
        log_accept = concentration * (centre - u) + order * jnp.log(ratio)
        noise = jax.random.exponential(uniform_key, u.shape, u.dtype)
        return u, log_accept >= -noise

    def again(state: tuple[Any, Array, Array]) -> tuple[Any, Array, Array]:
        key, u, is_done = state
        key, round_key = jax.random.split(key)
        proposal, is_accepted = propose(round_key)
        return key, jnp.where(is_done, u, proposal), is_done | is_accepted

    start = (key, jnp.zeros_like(concentration), jnp.zeros(concentration.shape, bool))
    _, u, _ = jax.lax.while_loop(lambda state: ~jnp.all(state[2]), again, start)
    return jnp.clip(u, 0.0, 2.0)


@partial(jax.custom_jvp, nondiff_argnums=(2,))
def _with_slope(u: Array, concentration: Array, dim: int) -> Array:
    """The sample, with the gradient of the quantile that it is."""
    return u


@_with_slope.defjvp
def _(dim: int, primals: tuple[Array, Array], tangents: tuple[Array, Array]) -> tuple[Array, Array]:
    u, concentration = primals
    return u, _slope(u, concentration, dim) * tangents[1]


def _symmetric_beta(key: Any, parameter: float, like: Array) -> Array:
    """Beta variables with both parameters equal; on the circle an arcsine, in three dimensions uniform."""
    if parameter == 0.5:
        return jnp.square(jnp.sin(0.5 * jnp.pi * jax.random.uniform(key, like.shape, like.dtype)))
    if parameter == 1.0:
        return jax.random.uniform(key, like.shape, like.dtype)
    return jax.random.beta(key, jnp.full_like(like, parameter), jnp.full_like(like, parameter))


def _slope(u: Array, concentration: Array, dim: int) -> Array:
    """`du/dkappa` at a fixed quantile.

    In the angle a, with u = 1 - cos(a), the density is exp(-kappa u) sin(a)^(p - 2), and dF/dkappa is the integral of
    (E[u] - u) f. Of the two sides of the sample, it is taken over the one away from the mean, where nothing cancels.
    """
    mean = one_minus_mean_resultant(dim / 2 - 1, concentration)
    angle = 2 * jnp.arcsin(jnp.sqrt(u / 2))
    is_low = u < mean
    decay = _DECAY / jnp.maximum(concentration, 1e-6)
    farthest = 2 * jnp.arcsin(jnp.sqrt(jnp.minimum((u + decay) / 2, 1.0)))
    low, high = jnp.where(is_low, 0.0, angle), jnp.where(is_low, angle, farthest)
    shape = (*(1 for _ in u.shape), _NODES.size)
    nodes, weights = (jnp.asarray(values, u.dtype).reshape(shape) for values in (_NODES, _WEIGHTS))
    positions = low[..., None] + (high - low)[..., None] * (nodes + 1) / 2
    there = 2 * jnp.square(jnp.sin(positions / 2))
    sines = jnp.sin(positions) / jnp.maximum(jnp.sin(angle), 1e-30)[..., None]
    log_density = concentration[..., None] * (u[..., None] - there)
    if dim > 2:
        log_density = log_density + (dim - 2) * jnp.log(jnp.maximum(sines, 1e-30))
    terms = (mean[..., None] - there) * jnp.exp(log_density) * weights
    integral = jnp.sum(terms, axis=-1) * (high - low) / 2
    # The integral over everything is 0, so that of the upper side is minus that of the lower one.
    of_angle = jnp.where(is_low, -integral, integral)
    return of_angle * jnp.sin(angle)
