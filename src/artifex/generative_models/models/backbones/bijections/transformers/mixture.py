"""Distribution functions of mixtures of logistics.

With F(x) = sum_k pi_k sigmoid((x - m_k) / s_k),

    y = exp(a) logit(F(x)) + b,

which maps all numbers onto all numbers. Everything is computed in logarithms: neither F nor 1 - F underflows. Source:
Ho et al. 2019 (Flow++), arXiv:1902.00275, section 3.2; it is the sigmoidal flow of Huang et al. 2018 (NAF),
arXiv:1804.00779, section 3.1, with one layer.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.scipy.special import logsumexp
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import MixtureCDFConfig
from artifex.generative_models.models.backbones.bijections.roots import increasing_root
from artifex.generative_models.models.backbones.bijections.transformers.affine import soft_bound
from artifex.generative_models.models.backbones.bijections.transformers.base import (
    AbstractTransformer,
    Parameters,
    Scalar,
    make_transformer,
)

Components = Float[Array, "num_components *shape"]


class MixtureCDF(AbstractTransformer):
    """The logit of a mixture's distribution function, and an affine map; parameters of zeros are the identity.

    The inverse is found by iteration: the logit lies between those of the components, so a root is bracketed.
    """

    config: MixtureCDFConfig = eqx.field(static=True)

    def __init__(self, config: MixtureCDFConfig):
        """Build it."""
        self.config = config

    @property
    def num_parameters(self) -> int:
        """Logits of the weights, means, log-scales; shift and log-scale."""
        return 3 * self.config.num_components + 2

    def forward_and_log_derivative(self, x: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """Y and log dy/dx."""
        *mixture, shift, log_scale = self._split(parameters)
        y, log_derivative = _logit_cdf(x, *mixture)
        return jnp.exp(log_scale) * y + shift, log_derivative + log_scale

    def inverse_and_log_derivative(self, y: Scalar, parameters: Parameters) -> tuple[Scalar, Scalar]:
        """X and log dx/dy."""
        *mixture, shift, log_scale = self._split(parameters)
        logit = jnp.exp(-log_scale) * (y - shift)
        _, means, log_scales = mixture
        roots = means + jnp.exp(log_scales) * logit[None]  # of the single components
        low, high = jnp.min(roots, axis=0), jnp.max(roots, axis=0)
        x = increasing_root(lambda x: _logit_cdf(x, *mixture)[0] - logit, low, high)
        return x, -_logit_cdf(x, *mixture)[1] - log_scale

    def _split(self, parameters: Parameters) -> tuple[Components, Components, Components, Scalar, Scalar]:
        num, bound = self.config.num_components, self.config.max_log_scale
        logits, means, log_scales, affine = jnp.split(parameters, (num, 2 * num, 3 * num))
        return (
            jax.nn.log_softmax(logits, axis=0),
            means,
            soft_bound(log_scales, bound),
            affine[0],
            soft_bound(affine[1], bound),
        )


def _logit_cdf(
    x: Scalar, log_weights: Components, means: Components, log_scales: Components
) -> tuple[Scalar, Scalar]:
    """Logit F(x) and the logarithm of its derivative."""
    z = (x[None] - means) * jnp.exp(-log_scales)
    log_below = log_weights + jax.nn.log_sigmoid(z)
    log_above = log_weights + jax.nn.log_sigmoid(-z)
    # Each term of F' / (F (1 - F)), F' = sum_k pi_k sigmoid(z_k) sigmoid(-z_k) / s_k, as posterior weights.
    terms = (
        jax.nn.log_softmax(log_below, axis=0)
        + jax.nn.log_softmax(log_above, axis=0)
        - log_weights
        - log_scales
    )
    return logsumexp(log_below, axis=0) - logsumexp(log_above, axis=0), logsumexp(terms, axis=0)


@make_transformer.register
def _(config: MixtureCDFConfig) -> AbstractTransformer:
    return MixtureCDF(config)
