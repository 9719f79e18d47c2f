"""Distributions, on distrax. They are built from arrays where they are used, and never kept in a module.

All axes of the parameters are event axes, so `log_prob` of one event is a scalar; `vmap` for more events.
"""

from artifex.generative_models.core.distributions.bernoulli import Bernoulli
from artifex.generative_models.core.distributions.divergences import kl_divergence, monte_carlo_kl
from artifex.generative_models.core.distributions.events import (
    bernoulli,
    categorical,
    discretized_logistic,
    laplace,
    mixture,
    normal,
    normal_from_output,
)
from artifex.generative_models.core.distributions.laplace import Laplace
from artifex.generative_models.core.distributions.likelihoods import AbstractLikelihood, make_likelihood
from artifex.generative_models.core.distributions.logistic import DiscretizedLogistic
