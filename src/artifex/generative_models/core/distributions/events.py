"""Distributions of one event: all axes of the parameters are event axes, or all but the leading `batch_ndims`."""

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.bernoulli import Bernoulli
from artifex.generative_models.core.distributions.beta import Beta
from artifex.generative_models.core.distributions.categorical import Categorical
from artifex.generative_models.core.distributions.discretized_logistic import DiscretizedLogistic
from artifex.generative_models.core.distributions.gamma import Gamma
from artifex.generative_models.core.distributions.laplace import Laplace
from artifex.generative_models.core.distributions.logistic import Logistic
from artifex.generative_models.core.distributions.mixture import Mixture
from artifex.generative_models.core.distributions.normal import Normal
from artifex.generative_models.core.distributions.parameters import (
    as_event,
    check_not_nan,
    check_ordered,
    check_positive,
    like,
)
from artifex.generative_models.core.distributions.student_t import StudentT
from artifex.generative_models.core.distributions.truncated_normal import TruncatedNormal
from artifex.generative_models.core.distributions.uniform import Uniform

_SCALE_FIX = "Pass a network's output through softplus or exp."


def normal(
    loc: Float[Array, "..."], scale: Float[Array, "..."] | float, *, batch_ndims: int = 0
) -> distrax.Distribution:
    """Independent normal entries.

    `distrax.MultivariateNormalDiag` is the same distribution, but it leaks tracers and goes wrong under `vmap`.

    Args:
        loc: means.
        scale: standard deviations, positive: of the same shape, or one for all entries.
        batch_ndims: so many leading axes stay batch axes, as the components of a mixture do.

    >>> float(normal(jnp.zeros(3), 1.0).log_prob(jnp.zeros(3))).__round__(4)
    -2.7568
    """
    check_positive("scale", scale, _SCALE_FIX)
    return as_event(Normal(loc, like(scale, loc, "scale")), batch_ndims)


def laplace(
    loc: Float[Array, "..."], scale: Float[Array, "..."] | float, *, batch_ndims: int = 0
) -> distrax.Distribution:
    """Independent Laplace entries, with density `exp(-|x - loc| / scale) / (2 scale)` each.

    Args:
        loc: means.
        scale: mean absolute deviations, positive: of the same shape, or one for all entries.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_positive("scale", scale, _SCALE_FIX)
    return as_event(Laplace(loc, like(scale, loc, "scale")), batch_ndims)


def logistic(
    loc: Float[Array, "..."], scale: Float[Array, "..."] | float, *, batch_ndims: int = 0
) -> distrax.Distribution:
    """Independent logistic entries; see `Logistic`.

    Args:
        loc: means.
        scale: positive: of the same shape, or one for all entries; the standard deviation is `scale pi / sqrt(3)`.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_positive("scale", scale, _SCALE_FIX)
    return as_event(Logistic(loc, like(scale, loc, "scale")), batch_ndims)


def student_t(
    loc: Float[Array, "..."],
    scale: Float[Array, "..."] | float,
    df: Float[Array, "..."] | float,
    *,
    batch_ndims: int = 0,
) -> distrax.Distribution:
    """Independent entries of Student's t-distribution; see `StudentT`.

    Args:
        loc: centres.
        scale: positive: of the same shape, or one for all entries.
        df: degrees of freedom, positive, likewise; 1 is a Cauchy distribution.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_positive("scale", scale, _SCALE_FIX)
    check_positive("df", df, "For infinitely many degrees of freedom take `normal`.")
    return as_event(StudentT(loc, like(scale, loc, "scale"), like(df, loc, "df")), batch_ndims)


def uniform(
    low: Float[Array, "..."], high: Float[Array, "..."] | float, *, batch_ndims: int = 0
) -> distrax.Distribution:
    """Independent entries, each uniform in [low, high].

    Args:
        low: lower ends.
        high: upper ends, above them: of the same shape, or one for all entries.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_ordered(low, high)
    return as_event(Uniform(low, like(high, low, "high")), batch_ndims)


def truncated_normal(
    loc: Float[Array, "..."],
    scale: Float[Array, "..."] | float,
    low: Float[Array, "..."] | float = -jnp.inf,
    high: Float[Array, "..."] | float = jnp.inf,
    *,
    batch_ndims: int = 0,
) -> distrax.Distribution:
    """Independent entries that are normal, given that they lie in [low, high]; see `TruncatedNormal`.

    Args:
        loc: means before the truncation; they may lie outside of the bounds.
        scale: standard deviations before it, positive: of the same shape, or one for all entries.
        low: lower bounds, likewise; `-inf`: none.
        high: upper bounds, above them, likewise; `inf`: none.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_positive("scale", scale, _SCALE_FIX)
    check_ordered(low, high)
    scale, low, high = (
        like(*pair) for pair in ((scale, loc, "scale"), (low, loc, "low"), (high, loc, "high"))
    )
    return as_event(TruncatedNormal(loc, scale, low, high), batch_ndims)


def gamma(
    concentration: Float[Array, "..."], rate: Float[Array, "..."] | float, *, batch_ndims: int = 0
) -> distrax.Distribution:
    """Independent gamma entries; see `Gamma`.

    Args:
        concentration: positive; 1 is an exponential distribution.
        rate: inverse scale, positive: of the same shape, or one for all entries.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_positive("concentration", concentration, _SCALE_FIX)
    check_positive("rate", rate, _SCALE_FIX)
    return as_event(Gamma(concentration, like(rate, concentration, "rate")), batch_ndims)


def beta(
    alpha: Float[Array, "..."], beta: Float[Array, "..."] | float, *, batch_ndims: int = 0
) -> distrax.Distribution:
    """Independent beta entries between 0 and 1; see `Beta`.

    Args:
        alpha: positive; large ones pull towards 1.
        beta: positive, of the same shape, or one for all entries; large ones pull towards 0.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_positive("alpha", alpha, _SCALE_FIX)
    check_positive("beta", beta, _SCALE_FIX)
    return as_event(Beta(alpha, like(beta, alpha, "beta")), batch_ndims)


def normal_from_output(
    output: Float[Array, "..."], *, min_scale: float = 1e-6, batch_ndims: int = 0
) -> distrax.Distribution:
    """Independent normal entries, from a network's output.

    Args:
        output: along the first event axis, first the means, then what `softplus` makes the scales.
        min_scale: added to the scales, so that they cannot reach 0.
        batch_ndims: so many leading axes stay batch axes.
    """
    loc, raw_scale = jnp.split(output, 2, axis=batch_ndims)
    return normal(loc, jax.nn.softplus(raw_scale) + min_scale, batch_ndims=batch_ndims)


def bernoulli(logits: Float[Array, "..."], *, batch_ndims: int = 0) -> distrax.Distribution:
    """Independent entries in {0.0, 1.0}.

    Args:
        logits: log-odds of a 1.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_not_nan("logits", logits)
    return as_event(Bernoulli(logits), batch_ndims)


def discretized_logistic(
    loc: Float[Array, "..."],
    scale: Float[Array, "..."] | float,
    low: float = 0.0,
    high: float = 1.0,
    num_levels: int = 256,
    *,
    batch_ndims: int = 0,
) -> distrax.Distribution:
    """Independent entries on a grid of `num_levels` values from `low` to `high`; see `DiscretizedLogistic`.

    Args:
        loc: centres, in units of the data.
        scale: scales of the logistic distributions, positive: of the same shape, or one for all entries.
        low: lowest value of the data.
        high: highest value of the data.
        num_levels: number of values.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_positive("scale", scale, _SCALE_FIX)
    return as_event(DiscretizedLogistic(loc, like(scale, loc, "scale"), low, high, num_levels), batch_ndims)


def categorical(logits: Float[Array, "*event categories"], *, batch_ndims: int = 0) -> distrax.Distribution:
    """Independent integer entries; the last axis of `logits` holds the categories.

    Args:
        logits: unnormalized log-probabilities.
        batch_ndims: so many leading axes stay batch axes.
    """
    check_not_nan("logits", logits)
    return as_event(Categorical(logits), batch_ndims)


def mixture(
    logits: Float[Array, "*entries components"], components: distrax.Distribution
) -> distrax.Distribution:
    """A mixture, or independent entries that are mixtures each.

    Args:
        logits: unnormalized log-weights; the last axis holds the components.
        components: distributions whose batch shape is the shape of `logits`. For a mixture of vectors that is
            `(components,)`, from `normal(loc, scale, batch_ndims=1)`; for a mixture in every pixel it is
            `(channels, height, width, components)`, from `batch_ndims=4`.
    """
    if components.batch_shape != logits.shape:
        raise ValueError(
            f"`components` must have the batch shape {logits.shape} of `logits`; got {components.batch_shape}. "
            "Build them with `batch_ndims`."
        )
    check_not_nan("logits", logits)
    return as_event(Mixture(logits, components), 0)
