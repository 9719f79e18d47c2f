"""Guidance: from what a guide believes to what the model believes, and beyond.

    data = guide + scale (model - guide)        where sigma_min <= sigma / alpha <= sigma_max, else the model alone
    data <- data (1 - rescale + rescale std(model) / std(data))

The guide is the model without its condition (classifier-free guidance), or a weaker model with it (autoguidance).

Sources: Ho & Salimans 2022, arXiv:2207.12598, equation 6, with their w = scale - 1; Karras et al. 2024,
arXiv:2406.02507, equation 5; the interval: Kynkaanniemi et al. 2024, arXiv:2404.07724; rescaling: Lin et al. 2023,
arXiv:2305.08891, equations 14 to 16, here of the data estimate, with the noise following from x_t. Variances of
ancestral steps are the model's own.
"""

import math

import jax
import jax.numpy as jnp

from artifex.generative_models.core.configuration import GuidanceConfig
from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import Example, Scalar
from artifex.generative_models.core.sampling.control import with_data
from artifex.generative_models.core.sampling.estimates import Denoiser, Estimate

_EVERYWHERE = math.exp(14.0)  # sigma / alpha where the log-SNR is cut off


def guided(config: GuidanceConfig, path: GaussianPath, model: Denoiser, guide: Denoiser) -> Denoiser:
    """The model, led away from the guide.

    Args:
        config: strength and interval.
        path: that of both.
        model: what is wanted.
        guide: what is not.
    """
    if config.scale == 1:
        return model

    def denoise(x: Example, t: Scalar) -> Estimate:
        def inside() -> Estimate:
            if config.scale == 0 and config.rescale == 0:
                return guide(x, t)
            ours, theirs = model(x, t), guide(x, t)
            far = jax.tree.map(lambda a, b: b + config.scale * (a - b), ours, theirs)
            far = far._replace(variance=ours.variance)
            return _rescaled(config.rescale, path, ours, far, t) if config.rescale else far

        # No choice where there is none: under a `vmap` over times it would copy the weights for every example.
        if config.sigma_min == 0 and config.sigma_max >= _EVERYWHERE:
            return inside()
        ratio = jnp.exp(-0.5 * path.log_snr(t))
        is_inside = (config.sigma_min <= ratio) & (ratio <= config.sigma_max)
        # The same choice for all examples, so under `vmap` it stays a choice, and the guide rests outside.
        return jax.lax.cond(is_inside, inside, lambda: model(x, t))

    return denoise


def _rescaled(amount: float, path: GaussianPath, ours: Estimate, far: Estimate, t: Scalar) -> Estimate:
    spread, wanted = jnp.std(far.data), jnp.std(ours.data)
    factor = 1.0 - amount + amount * wanted / jnp.maximum(spread, 1e-6)
    return with_data(path, far, factor * far.data, t)
