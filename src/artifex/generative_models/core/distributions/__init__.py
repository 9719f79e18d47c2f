"""Distributions, as distrax defines them. They are built from arrays where they are used, and never kept in a module.

All axes of the parameters are event axes, so `log_prob` of one event is a scalar; `vmap` for more events.
"""

from artifex.generative_models.core.distributions import (
    direction_divergences,
    entry_divergences,
    vector_divergences,
)
from artifex.generative_models.core.distributions.autoregressive import Autoregressive
from artifex.generative_models.core.distributions.base import AbstractDistribution, AbstractEntries
from artifex.generative_models.core.distributions.bernoulli import Bernoulli
from artifex.generative_models.core.distributions.beta import Beta
from artifex.generative_models.core.distributions.categorical import Categorical, OneHot
from artifex.generative_models.core.distributions.count_events import (
    negative_binomial,
    poisson,
    zero_inflated,
)
from artifex.generative_models.core.distributions.counts import NegativeBinomial, Poisson, ZeroInflated
from artifex.generative_models.core.distributions.directions import von_mises, von_mises_fisher
from artifex.generative_models.core.distributions.dirichlet import Dirichlet
from artifex.generative_models.core.distributions.discretized_logistic import DiscretizedLogistic
from artifex.generative_models.core.distributions.divergences import (
    kl_divergence,
    monte_carlo_entropy,
    monte_carlo_kl,
)
from artifex.generative_models.core.distributions.events import (
    bernoulli,
    beta,
    categorical,
    discretized_logistic,
    gamma,
    laplace,
    logistic,
    mixture,
    normal,
    normal_from_output,
    student_t,
    truncated_normal,
    uniform,
)
from artifex.generative_models.core.distributions.gamma import Gamma
from artifex.generative_models.core.distributions.gumbel_softmax import GumbelSoftmax, straight_through
from artifex.generative_models.core.distributions.laplace import Laplace
from artifex.generative_models.core.distributions.likelihoods import AbstractLikelihood, make_likelihood
from artifex.generative_models.core.distributions.logistic import Logistic
from artifex.generative_models.core.distributions.mixture import Mixture
from artifex.generative_models.core.distributions.multivariate_normal import (
    AbstractMultivariateNormal,
    LowRankNormal,
    MultivariateNormal,
)
from artifex.generative_models.core.distributions.normal import Normal
from artifex.generative_models.core.distributions.student_t import StudentT
from artifex.generative_models.core.distributions.support import check_support, distance_to_support
from artifex.generative_models.core.distributions.transformed import Bijection, Transformed
from artifex.generative_models.core.distributions.truncated_normal import TruncatedNormal
from artifex.generative_models.core.distributions.uniform import Uniform
from artifex.generative_models.core.distributions.vectors import (
    dirichlet,
    gumbel_softmax,
    low_rank_normal,
    multivariate_normal,
    one_hot,
)
from artifex.generative_models.core.distributions.von_mises_fisher import VonMises, VonMisesFisher
