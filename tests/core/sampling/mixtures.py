"""Mixtures of Gaussians on the line: the one data for which the best possible denoiser is known in closed form."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from artifex.generative_models.core.sampling import Estimate


@dataclasses.dataclass(frozen=True)
class Mixture:
    """sum_k weight_k N(mean_k, scale_k^2), of every entry of an example on its own."""

    weights: tuple = (1.0,)
    means: tuple = (0.0,)
    scales: tuple = (1.0,)

    def arrays(self):
        """Its three fields as arrays, which may stand in their place."""
        return tuple(jnp.asarray(v, jnp.float32) for v in (self.weights, self.means, self.scales))

    def denoiser(self, path):
        """E[x_0 | x_t] and E[noise | x_t], from the posterior of each component."""
        weights, means, scales = self.arrays()

        def denoise_entry(x, t):
            alpha, sigma = path.alpha(t), path.sigma(t)
            variance = alpha**2 * scales**2 + sigma**2
            away = x - alpha * means
            log_joint = jnp.log(weights) - 0.5 * (jnp.log(variance) + away**2 / variance)
            posterior = jax.nn.softmax(log_joint)
            data = jnp.sum(posterior * (means + alpha * scales**2 * away / variance))
            noise = jnp.sum(posterior * sigma * away / variance)
            return data, noise

        def denoise(x, t):
            data, noise = jax.vmap(denoise_entry, in_axes=(0, None))(x.reshape(-1), t)
            return Estimate(data.reshape(x.shape), noise.reshape(x.shape))

        return denoise

    def moments(self):
        """Mean, standard deviation and fourth central moment."""
        w, m, s = (np.asarray(v, np.float64) for v in (self.weights, self.means, self.scales))
        mean = np.sum(w * m)
        d = m - mean
        variance = np.sum(w * (s**2 + d**2))
        fourth = np.sum(w * (3 * s**4 + 6 * s**2 * d**2 + d**4))
        return mean, np.sqrt(variance), fourth

    def cdf(self, x):
        """Distribution function."""
        from scipy.stats import norm

        return sum(
            w * norm.cdf(x, m, s) for w, m, s in zip(self.weights, self.means, self.scales, strict=True)
        )
