"""One table of distributions of scalars and vectors, each with what SciPy knows about it in float64."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import distrax
import jax.numpy as jnp
import numpy as np
import scipy.special
import scipy.stats

from artifex.generative_models.core import distributions as d


@dataclass(frozen=True, kw_only=True)
class Case:
    """A distribution of one event, made of parameters."""

    make: Callable[..., distrax.Distribution]
    params: tuple[Any, ...]  # floats or nested lists: float32 arrays for `make`, float64 ones for SciPy
    points: Any  # events, with a leading axis, far tails among them
    log_prob: Callable[..., np.ndarray]  # of SciPy: points, then parameters
    frozen: Any = None  # a frozen distribution of SciPy, for quantiles of a continuous scalar
    support: np.ndarray | None = None  # of a discrete one
    outside: Any = None  # an event without probability
    rtol: float = 1e-5
    has_entropy: bool = True
    has_mean: bool = True

    def distribution(self) -> distrax.Distribution:
        """With float32 parameters."""
        return self.make(*self.arrays())

    def arrays(self) -> tuple[Any, ...]:
        """The parameters in float32."""
        return tuple(jnp.array(value, jnp.float32) for value in self.params)

    def expected_log_prob(self) -> np.ndarray:
        """Of SciPy, at the float32 numbers that the distribution sees."""
        points = np.asarray(np.asarray(self.points, np.float32), np.float64)
        params = (np.asarray(np.asarray(value, np.float32), np.float64) for value in self.params)
        return self.log_prob(points, *params)


def scalar(make, family, params, points, to_scipy=lambda *params: params, **kwargs) -> Case:
    """A continuous distribution of a scalar, by the name of SciPy's family."""
    return Case(
        make=make,
        params=params,
        points=points,
        log_prob=lambda x, *params: family.logpdf(x, *to_scipy(*params)),
        frozen=family(*to_scipy(*params)),
        **kwargs,
    )


def t_params(loc, scale, df):
    """SciPy's order."""
    return df, loc, scale


def gamma_params(a, rate):
    """SciPy's order."""
    return a, 0.0, 1 / rate


def truncated_params(loc, scale, low, high):
    """SciPy's bounds are in units of the scale."""
    return (low - loc) / scale, (high - loc) / scale, loc, scale


def uniform_params(low, high):
    """SciPy's form."""
    return low, high - low


def laplace_log_prob(x, loc, scale):
    """In float64; SciPy's is the logarithm of a density that underflows."""
    return -np.abs(x - loc) / scale - np.log(2 * scale)


def bernoulli_log_prob(x, logits):
    """In float64."""
    return scipy.special.log_expit(np.where(x == 1, logits, -logits))


def dirichlet_log_prob(x, a):
    """In float64; SciPy's refuses rows whose sum float32 has rounded."""
    log_norm = scipy.special.gammaln(a).sum() - scipy.special.gammaln(a.sum())
    return ((a - 1) * np.log(x)).sum(1) - log_norm


def categorical_log_prob(x, logits):
    """In float64."""
    return scipy.special.log_softmax(logits)[x.astype(int)]


def logistic_grid_log_prob(x, loc, scale):
    """On the grid of 5 levels in [0, 1]; far tails by the survival function, which does not cancel."""
    edges = np.array([0.125, 0.375, 0.625, 0.875])
    logistic = scipy.stats.logistic(loc, scale)
    lower = np.concatenate([[-np.inf], edges])
    upper = np.concatenate([edges, [np.inf]])
    probs = np.where(
        lower > loc, logistic.sf(lower) - logistic.sf(upper), logistic.cdf(upper) - logistic.cdf(lower)
    )
    return np.log(probs)[np.round(x * 4).astype(int)]


def mixture_log_prob(x, logits, loc, scale):
    """Of normals, in float64."""
    parts = scipy.stats.norm.logpdf(x[:, None], loc, scale) + scipy.special.log_softmax(logits)
    return scipy.special.logsumexp(parts, axis=1)


def zero_inflated_log_prob(x, extra, count, logits):
    """Of a negative binomial, in float64."""
    counted = scipy.special.log_expit(-extra) + negative_binomial_log_prob(x, count, logits)
    return np.where(x == 0, np.logaddexp(scipy.special.log_expit(extra), counted), counted)


def negative_binomial_log_prob(x, count, logits):
    """SciPy counts failures before successes."""
    return scipy.stats.nbinom.logpmf(x, count, scipy.special.expit(-logits))


def low_rank_log_prob(x, loc, scale, factor):
    """Of the dense covariance."""
    return scipy.stats.multivariate_normal.logpdf(x, loc, np.diag(scale**2) + factor @ factor.T)


def gumbel_softmax_log_prob(x, logits, temperature):
    """Maddison et al. 2017, equation 10, in float64."""
    num, terms = len(logits), logits - temperature * np.log(x)
    log_scale = scipy.special.gammaln(num) + (num - 1) * np.log(temperature)
    return log_scale + (terms - np.log(x)).sum(1) - num * scipy.special.logsumexp(terms, axis=1)


def make_mixture(logits, loc, scale):
    """Of scalars."""
    return d.mixture(logits, d.normal(loc, scale, batch_ndims=1))


MIXTURE = ([0.5, -1.0, 0.0], [-2.0, 0.5, 3.0], [0.3, 1.0, 0.5])

CASES = {
    "normal": scalar(d.normal, scipy.stats.norm, (0.7, 1.3), [0.1, -3.0, 40.0, -1e4, 1e12]),
    "laplace": Case(
        make=d.laplace,
        params=(0.7, 1.3),
        points=[0.1, -3.0, 40.0, -1e4, 1e12],
        log_prob=laplace_log_prob,
        frozen=scipy.stats.laplace(0.7, 1.3),
    ),
    "logistic": scalar(d.logistic, scipy.stats.logistic, (0.7, 1.3), [0.1, -3.0, 40.0, -1e4, 1e12]),
    "student_t": scalar(
        d.student_t, scipy.stats.t, (0.7, 1.3, 3.5), [0.1, -3.0, 40.0, -1e6, 1e15, 1e25], t_params
    ),
    "student_t_heavy": scalar(
        d.student_t, scipy.stats.t, (0.7, 1.3, 0.2), [0.1, 1e6, -1e30], t_params, has_mean=False
    ),
    "student_t_light": scalar(d.student_t, scipy.stats.t, (0.7, 1.3, 1e5), [0.1, -3.0, 40.0, -1e3], t_params),
    "uniform": scalar(
        d.uniform, scipy.stats.uniform, (-1.5, 2.0), [-1.499, 0.0, 1.999], uniform_params, outside=2.01
    ),
    "gamma": scalar(
        d.gamma, scipy.stats.gamma, (2.5, 3.0), [1e-20, 1e-3, 1.0, 30.0, 1e4], gamma_params, outside=-0.1
    ),
    "gamma_small": scalar(
        d.gamma, scipy.stats.gamma, (0.1, 0.5), [1e-30, 1e-3, 1.0, 300.0], gamma_params, outside=-0.1
    ),
    "gamma_large": scalar(
        d.gamma, scipy.stats.gamma, (5e4, 20.0), [1e-3, 2.4e3, 2.5e3, 2.6e3, 1e5], gamma_params, outside=-0.1
    ),
    "beta": scalar(d.beta, scipy.stats.beta, (2.5, 0.8), [1e-30, 1e-3, 0.4, 0.9, 0.9999], outside=1.01),
    "beta_large": scalar(d.beta, scipy.stats.beta, (3e4, 9e4), [1e-3, 0.24, 0.25, 0.26, 0.9], outside=-0.1),
    "beta_skew": scalar(d.beta, scipy.stats.beta, (0.3, 2e4), [1e-30, 1e-6, 1e-3, 0.5], outside=-0.1),
    "truncated_normal": scalar(
        d.truncated_normal,
        scipy.stats.truncnorm,
        (0.5, 2.0, -1.0, 4.0),
        [-0.999, 0.5, 3.9],
        truncated_params,
        outside=4.5,
    ),
    "truncated_normal_tail": scalar(
        d.truncated_normal,
        scipy.stats.truncnorm,
        (0.5, 0.1, 2.0, 9.0),
        [2.01, 3.0, 5.0],
        truncated_params,
        has_entropy=False,  # SciPy's is not finite
    ),
    "von_mises": scalar(
        d.von_mises,
        scipy.stats.vonmises,
        (0.0, 2.0),
        [0.1, -3.0, 2.0],
        lambda loc, concentration: (concentration, loc),
        has_mean=False,
    ),
    "bernoulli": Case(
        make=d.bernoulli,
        params=(-0.4,),
        points=[0.0, 1.0],
        log_prob=bernoulli_log_prob,
        support=np.arange(2.0),
    ),
    "bernoulli_sure": Case(
        make=d.bernoulli,
        params=(90.0,),
        points=[0.0, 1.0],
        log_prob=bernoulli_log_prob,
        support=np.arange(2.0),
    ),
    "categorical": Case(
        make=d.categorical,
        params=([0.3, -200.0, 1.0, 0.0],),
        points=[0, 1, 2, 3],
        log_prob=categorical_log_prob,
        support=np.arange(4),
        outside=4,
        has_mean=False,
    ),
    "one_hot": Case(
        make=d.one_hot,
        params=([0.3, -200.0, 1.0, 0.0],),
        points=np.eye(4),
        log_prob=lambda x, logits: x @ scipy.special.log_softmax(logits),
        support=np.eye(4),
        outside=[1.0, 1.0, 0.0, 0.0],
    ),
    "discretized_logistic": Case(
        make=lambda loc, scale: d.discretized_logistic(loc, scale, num_levels=5),
        params=(0.3, 0.02),
        points=[0.0, 0.25, 0.5, 0.75, 1.0],
        log_prob=logistic_grid_log_prob,
        support=np.linspace(0, 1, 5),
        outside=0.3,
    ),
    "dirichlet": Case(
        make=d.dirichlet,
        params=([0.3, 2.0, 5.0],),
        points=[[0.2, 0.3, 0.5], [1e-20, 0.25, 0.75], [0.5, 0.5 - 2**-20, 2**-20]],
        log_prob=dirichlet_log_prob,
        outside=[-0.25, 0.5, 0.75],
    ),
    "dirichlet_large": Case(
        make=d.dirichlet,
        params=([3e2, 2.0, 5e2],),
        points=[[0.375, 2**-8, 0.625 - 2**-8], [0.25, 0.25, 0.5]],
        log_prob=dirichlet_log_prob,
    ),
    "mixture": Case(
        make=make_mixture,
        params=MIXTURE,
        points=[-2.0, 0.0, 3.2, 200.0, -1e5],
        log_prob=mixture_log_prob,
        has_entropy=False,
    ),
    "poisson": Case(
        make=d.poisson,
        params=(3.3,),
        points=[0.0, 1.0, 3.0, 50.0, 1e5],
        log_prob=lambda x, rate: scipy.stats.poisson.logpmf(x, rate),
        support=np.arange(60.0),
        outside=1.25,
        has_entropy=False,
    ),
    "poisson_large": Case(
        make=d.poisson,
        params=(1e5,),
        points=[0.0, 9.9e4, 1e5, 1.01e5, 2e5],
        log_prob=lambda x, rate: scipy.stats.poisson.logpmf(x, rate),
        support=np.arange(9.7e4, 1.03e5),
        has_entropy=False,
    ),
    "negative_binomial": Case(
        make=d.negative_binomial,
        params=(0.7, 1.1),
        points=[0.0, 1.0, 3.0, 200.0, 1e5],
        log_prob=negative_binomial_log_prob,
        support=np.arange(100.0),
        outside=-1.0,
        has_entropy=False,
    ),
    "negative_binomial_large": Case(
        make=d.negative_binomial,
        params=(3e4, 0.2),
        points=[0.0, 1e3, 3.6e4, 3.7e4, 2e5],
        log_prob=negative_binomial_log_prob,
        support=np.arange(3.5e4, 3.9e4),
        has_entropy=False,
    ),
    "zero_inflated": Case(
        make=lambda extra, *params: d.zero_inflated(extra, d.negative_binomial(*params)),
        params=(-0.5, 2.5, 0.4),
        points=[0.0, 1.0, 3.0, 200.0],
        log_prob=zero_inflated_log_prob,
        support=np.arange(100.0),
        outside=0.5,
        has_entropy=False,
    ),
    "multivariate_normal": Case(
        make=d.multivariate_normal,
        params=([0.3, -1.0, 2.0], [[2.0, 0.6, -0.2], [0.6, 0.5, 0.1], [-0.2, 0.1, 1.0]]),
        points=[[0.0, 0.0, 0.0], [1.0, -2.0, 300.0], [1e6, 1e6, -1e6]],
        log_prob=lambda x, loc, covariance: scipy.stats.multivariate_normal.logpdf(
            x, loc, (covariance + covariance.T) / 2
        ),
    ),
    "low_rank_normal": Case(
        make=d.low_rank_normal,
        params=([0.3, -1.0, 2.0], [0.2, 0.5, 0.1], [[20.0, 0.3], [-5.0, 0.2], [3.0, -0.6]]),
        points=[[0.0, 0.0, 0.0], [200.0, -51.0, 32.0], [1e5, 1e6, -1e6]],
        log_prob=low_rank_log_prob,
    ),
    "gumbel_softmax": Case(
        make=d.gumbel_softmax,
        params=([0.3, -1.0, 2.0], 0.7),
        points=[[0.2, 0.3, 0.5], [1e-30, 0.25, 0.75], [0.5, 0.5, 1e-10]],
        log_prob=gumbel_softmax_log_prob,
        outside=[-0.25, 0.5, 0.75],
        has_entropy=False,
        has_mean=False,
    ),
}
