"""Hooks for knowledge of a domain: projections of the data estimate, and energies of it.

    projection    data <- project(data, t), with the noise that then is left of x_t
    energy        the gradient of -energy(data estimate at x_t, t) in x_t, as that of log p(y | x_t)

A projection holds for the sample itself with every sampler whose last step ends at the data estimate, as all do but
those of differential equations. An energy of |y - f(data)|^2 / (2 v) is diffusion posterior sampling.

Sources: energies: Chung et al. 2023 (DPS), arXiv:2209.14687, equation 15; Bansal et al. 2023, arXiv:2302.07121,
equation 6.
"""

from collections.abc import Callable

import jax
from jaxtyping import Array, PyTree

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import Example, Scalar
from artifex.generative_models.core.sampling.control import AbstractControl, with_data, with_gradient
from artifex.generative_models.core.sampling.estimates import Denoiser, Estimate


class Constraint(AbstractControl):
    """A projection of the data estimate.

    Attributes:
        project: `(data, t) -> data`, or `(data, t, target) -> data` where each sample has a target, for one example.
    """

    project: Callable[..., Example]

    def apply(self, denoise: Denoiser, path: GaussianPath, target: PyTree[Array] | None) -> Denoiser:
        """The denoiser, projected."""
        rest = () if target is None else (target,)

        def constrained(x: Example, t: Scalar) -> Estimate:
            estimate = denoise(x, t)
            return with_data(path, estimate, self.project(estimate.data, t, *rest), t)

        return constrained


class Energy(AbstractControl):
    """An energy of the data estimate, low where the sample is as it is wanted.

    Attributes:
        energy: `(data, t) -> number`, or `(data, t, target) -> number` where each sample has a target, for one example,
            in nats: exp(-energy) is p(y | x_t) up to a factor.
    """

    energy: Callable[..., Scalar]

    def apply(self, denoise: Denoiser, path: GaussianPath, target: PyTree[Array] | None) -> Denoiser:
        """The denoiser, led downhill."""
        rest = () if target is None else (target,)

        def led(x: Example, t: Scalar) -> Estimate:
            def energy(x: Example) -> tuple[Scalar, Estimate]:
                estimate = denoise(x, t)
                return self.energy(estimate.data, t, *rest), estimate

            gradient, estimate = jax.grad(energy, has_aux=True)(x)
            return with_gradient(path, estimate, -gradient, t)

        return led
