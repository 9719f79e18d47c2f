"""Latents of a diffusion model: along the probability-flow ODE, and between two of them."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling import Denoiser


def follow(
    denoise: Denoiser, path: GaussianPath, x: Float[Array, "..."], times: Float[Array, " stops"]
) -> Float[Array, "..."]:
    """X at the last of the times, from x at the first, by DDIM's steps up or down the path.

    Source: Song et al. 2021, arXiv:2010.02502, section 4.3.

    Args:
        denoise: the model.
        path: its path.
        x: where it begins.
        times: rising or falling.
    """

    def step(x: Array, pair: tuple[Array, Array]) -> tuple[Array, None]:
        t, s = pair
        estimate = denoise(x, t)
        return path.alpha(s) * estimate.data + path.sigma(s) * estimate.noise, None

    return jax.lax.scan(step, x, (times[:-1], times[1:]))[0]


def spherical_interpolation(
    start: Float[Array, "..."], end: Float[Array, "..."], weight: Float[Array, ""]
) -> Float[Array, "..."]:
    """The point at `weight` in [0, 1] on the great circle through both, so that noise keeps its length.

    Source: Shoemake 1985, "Animating rotation with quaternion curves".
    """
    cosine = jnp.sum(start * end) / jnp.maximum(jnp.linalg.norm(start) * jnp.linalg.norm(end), 1e-12)
    angle = jnp.arccos(jnp.clip(cosine, -1.0, 1.0))
    is_straight = jnp.sin(angle) < 1e-4
    sine = jnp.where(is_straight, 1.0, jnp.sin(angle))
    near = jnp.where(is_straight, 1.0 - weight, jnp.sin((1.0 - weight) * angle) / sine)
    far = jnp.where(is_straight, weight, jnp.sin(weight * angle) / sine)
    return near * start + far * end
