"""Samples that agree with a linear measurement y = H x_0 + noise, by pseudoinverse guidance.

With x_0 given x_t taken as normal around the model's data estimate, with covariance C,

    g = d/dx_t log p(y | x_t) = (d data / dx_t)^T H^T (H C H^T + noise^2)^-1 (y - H data).

C is either r^2 I with r^2 = s^2 rho^2 / (s^2 + rho^2), rho = sigma / alpha, as of data with independent entries of
standard deviation s, or, by Tweedie's formula, sigma^2 / alpha times the derivative of the data estimate, which is
exact at every x_t. Both are right for normal data, the second whatever their covariance. The linear system is solved by
conjugate gradients.

Sources: Song et al. 2023, "Pseudoinverse-guided diffusion models for inverse problems" (ICLR), equation 7; the
second covariance: Boys et al. 2023, arXiv:2310.06721, equation 9 (there with its diagonal alone).
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import Example, Scalar
from artifex.generative_models.core.sampling.control import AbstractControl, with_gradient
from artifex.generative_models.core.sampling.estimates import Denoiser, Estimate


class LinearMeasurement(AbstractControl):
    """Every sample has a measurement as its target.

    Attributes:
        measure: H, a linear function from one example to one measurement: blurring, sampling down, a mask.
        noise_scale: standard deviation of the measurement's noise.
        data_scale: that of the data's entries, s above; None: Tweedie's covariance, at the price of one more
            derivative of the network at each iteration.
        num_iterations: at most so many of conjugate gradients; one is enough for masks, and as many as the measurement
            has entries for all.
    """

    measure: Callable[[Example], Array]
    noise_scale: float = eqx.field(static=True)
    data_scale: float | None = eqx.field(static=True, default=1.0)
    num_iterations: int = eqx.field(static=True, default=10)

    def __check_init__(self) -> None:
        if self.noise_scale <= 0:
            raise ValueError(f"`noise_scale` must be above 0; got {self.noise_scale}. Give a small one, 1e-3")
        if self.num_iterations < 1:
            raise ValueError(f"`num_iterations` must be at least 1; got {self.num_iterations}")

    def apply(self, denoise: Denoiser, path: GaussianPath, target: PyTree[Array] | None) -> Denoiser:
        """The denoiser, led to the measurement."""
        if target is None:
            raise ValueError("`LinearMeasurement` needs `target`, the measurement of each sample")

        def led(x: Example, t: Scalar) -> Estimate:
            def data_of(x: Example) -> tuple[Example, Estimate]:
                estimate = denoise(x, t)
                return estimate.data, estimate

            data, pull, estimate = jax.vjp(data_of, x, has_aux=True)
            back = jax.linear_transpose(self.measure, data)
            ratio = jnp.exp(-0.5 * path.log_snr(t))

            def spread(v: Example) -> Example:
                if self.data_scale is None:
                    return ratio * path.sigma(t) * pull(v)[0]
                return v / (1.0 / self.data_scale**2 + 1.0 / ratio**2)

            def normal_equation(u: Array) -> Array:
                return self.measure(spread(back(u)[0])) + self.noise_scale**2 * u

            residual = target - self.measure(data)
            solved, _ = jax.scipy.sparse.linalg.cg(normal_equation, residual, maxiter=self.num_iterations)
            return with_gradient(path, estimate, pull(back(solved)[0])[0], t)

        return led
