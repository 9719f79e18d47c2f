"""Latents of a diffusion model: along the probability-flow ODE."""

import jax
from jaxtyping import Array, Float

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling import Denoiser

COSTLY_RECONSTRUCTION = "solves an ODE twice for each example, whose error is all that it shows"


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
