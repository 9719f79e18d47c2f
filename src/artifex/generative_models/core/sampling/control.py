"""Control: what a denoiser believes, changed by what is known of the sample that is wanted.

With p(y | x_t) the probability of what is wanted, Bayes' rule adds its gradient to the score, and so

    data <- data + sigma^2 / alpha g,    noise <- noise - sigma g,    g = d/dx_t log p(y | x_t).

Of exact estimates g vanishes as alpha / sigma^2 towards pure noise; of a network's it does not quite, and what is left
would be multiplied by sigma^2 / alpha. So g is taken times 1 / (1 + (rho / 30)^4), rho = sigma / alpha: where x_t says
next to nothing of the data, a control by gradients has no say.

Source: Dhariwal & Nichol 2021, arXiv:2105.05233, equation 14, in terms of data and noise.
"""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PyTree

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import Example, Scalar
from artifex.generative_models.core.sampling.estimates import Denoiser, Estimate

# sigma / alpha below which an estimate of the noise cannot follow from that of the data in float32.
_LEAST_RATIO = 1e-4
_LARGEST_RATIO = 30.0


class AbstractControl(eqx.Module):
    """A change of a denoiser, for one example. Functions that it holds are the same objects in every call, or each
    call of a sampler compiles anew.
    """

    @abc.abstractmethod
    def apply(self, denoise: Denoiser, path: GaussianPath, target: PyTree[Array] | None) -> Denoiser:
        """The denoiser, changed.

        Args:
            denoise: the model.
            path: its path.
            target: what is wanted of this example, such as a measurement or a label; None: it is the same for all.
        """


def with_data(path: GaussianPath, estimate: Estimate, data: Example, t: Scalar) -> Estimate:
    """An estimate with other data, and with the noise that then is left of x_t."""
    ratio = jnp.maximum(jnp.exp(-0.5 * path.log_snr(t)), _LEAST_RATIO)
    return estimate._replace(data=data, noise=estimate.noise - (data - estimate.data) / ratio)


def with_gradient(path: GaussianPath, estimate: Estimate, gradient: Example, t: Scalar) -> Estimate:
    """An estimate, changed by the gradient of log p(y | x_t) in x_t."""
    ratio = jnp.exp(-0.5 * path.log_snr(t))
    change = path.sigma(t) / (1.0 + (ratio / _LARGEST_RATIO) ** 4) * gradient
    return estimate._replace(data=estimate.data + ratio * change, noise=estimate.noise - change)
