"""Guidance by a classifier of noisy examples: its gradient is added to the score.

    score <- score of p(x_t) + scale d/dx_t log p(y | x_t)

At scale 1, with the exact classifier, samples of an unconditional model are those of the class.

Source: Dhariwal & Nichol 2021, arXiv:2105.05233, equations 13 and 14 and algorithm 2.
"""

from collections.abc import Callable

import equinox as eqx
import jax
from jaxtyping import Array, PyTree

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import Example, Scalar
from artifex.generative_models.core.sampling.control import AbstractControl, with_gradient
from artifex.generative_models.core.sampling.estimates import Denoiser, Estimate


class ClassifierGuidance(AbstractControl):
    """Every sample has a class, or whatever else the classifier knows, as its target.

    Attributes:
        log_prob: `(x_t, t, target) -> log p(target | x_t)` in nats, for one example: a model, or any function.
        scale: 1 the class as it is, more: stronger.
    """

    log_prob: Callable[..., Scalar]
    scale: float = eqx.field(static=True, default=1.0)

    def apply(self, denoise: Denoiser, path: GaussianPath, target: PyTree[Array] | None) -> Denoiser:
        """The denoiser, led to the class."""
        if target is None:
            raise ValueError("`ClassifierGuidance` needs `target`, the class of each sample")

        def led(x: Example, t: Scalar) -> Estimate:
            gradient = jax.grad(lambda x: self.log_prob(x, t, target))(x)
            return with_gradient(path, denoise(x, t), self.scale * gradient, t)

        return led
