"""DDIM and ancestral sampling: one evaluation a step, from deterministic to Markovian.

    x_s = alpha_s data + sqrt(sigma_s^2 - tau^2) noise + tau z,    tau = eta sigma_s sqrt(1 - snr_t / snr_s)

with z standard normal. eta = 0 is Euler's method for d(x / alpha) / d(sigma / alpha) = noise. At eta = 1, tau^2 is the
variance of q(x_s | x_t, x_0), so on the full table of a DDPM this is its ancestral sampling; on alpha = 1 it is what
k-diffusion calls Euler ancestral. A model with an opinion v of the variance has z times (sigma_t / sigma_s)^v more:
from beta tilde, v = 0, to beta, v = 1, in the words of DDPM; the last step, to sigma_s = 0, has none in any case.

Sources: Song et al. 2021, arXiv:2010.02502, equations 12 and 16 (there for variance-preserving paths); Ho et al. 2020,
arXiv:2006.11239, algorithm 2; learned variances: Nichol & Dhariwal 2021, arXiv:2102.09672, equation 15.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Int, Key

from artifex.generative_models.core.protocols import GaussianPath
from artifex.generative_models.core.sampling.base import AbstractStepSampler, Example, Scalar
from artifex.generative_models.core.sampling.estimates import Denoiser


class DDIMSampler(AbstractStepSampler):
    """The step above.

    Attributes:
        eta: share of fresh noise, in [0, 1].
    """

    eta: float = eqx.field(static=True, default=0.0)

    def first_memory(self, x: Example) -> tuple[()]:
        """None."""
        return ()

    def step(
        self,
        denoise: Denoiser,
        path: GaussianPath,
        x: Example,
        memory: tuple[()],
        t: Scalar,
        s: Scalar,
        *,
        key: Key[Array, ""],
    ) -> tuple[Example, tuple[()], Int[Array, ""]]:
        """One step."""
        estimate = denoise(x, t)
        alpha, sigma = path.alpha(s), path.sigma(s)
        count = jnp.ones((), jnp.int32)
        if self.eta == 0:
            return alpha * estimate.data + sigma * estimate.noise, (), count
        fresh = self.eta * sigma * jnp.sqrt(-jnp.expm1(path.log_snr(t) - path.log_snr(s)))
        kept = jnp.sqrt(jnp.maximum(sigma**2 - fresh**2, 0.0))
        z = jax.random.normal(key, x.shape, x.dtype)
        if estimate.variance is not None:
            z = z * jnp.where(sigma > 0, path.sigma(t) / jnp.maximum(sigma, 1e-12), 1.0) ** estimate.variance
        return alpha * estimate.data + kept * estimate.noise + fresh * z, (), count
