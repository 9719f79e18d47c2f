"""Distributions of one event: all axes of the parameters are event axes, or all but the leading `batch_ndims`."""

import distrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.distributions.bernoulli import Bernoulli
from artifex.generative_models.core.distributions.laplace import Laplace
from artifex.generative_models.core.distributions.logistic import DiscretizedLogistic


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
    return _event(distrax.Normal(loc, _like(scale, loc, "scale")), batch_ndims)


def laplace(
    loc: Float[Array, "..."], scale: Float[Array, "..."] | float, *, batch_ndims: int = 0
) -> distrax.Distribution:
    """Independent Laplace entries, with density `exp(-|x - loc| / scale) / (2 scale)` each.

    Args:
        loc: means.
        scale: mean absolute deviations, positive: of the same shape, or one for all entries.
        batch_ndims: so many leading axes stay batch axes.
    """
    return _event(Laplace(loc, _like(scale, loc, "scale")), batch_ndims)


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
    return _event(Bernoulli(logits), batch_ndims)


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
    return _event(DiscretizedLogistic(loc, _like(scale, loc, "scale"), low, high, num_levels), batch_ndims)


def categorical(logits: Float[Array, "*event categories"], *, batch_ndims: int = 0) -> distrax.Distribution:
    """Independent integer entries; the last axis of `logits` holds the categories.

    Args:
        logits: unnormalized log-probabilities.
        batch_ndims: so many leading axes stay batch axes.
    """
    return _event(distrax.Categorical(logits, dtype=jnp.int32), batch_ndims)


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
    return _event(distrax.MixtureSameFamily(distrax.Categorical(logits), components), 0)


def _event(distribution: distrax.Distribution, batch_ndims: int) -> distrax.Distribution:
    num_axes = len(distribution.batch_shape) - batch_ndims
    return distrax.Independent(distribution, num_axes) if num_axes else distribution


def _like(value: Array | float, reference: Array, name: str) -> Array:
    value = jnp.asarray(value, reference.dtype)
    if value.shape not in ((), reference.shape):
        raise ValueError(f"`{name}` must be a scalar or have the shape {reference.shape}; got {value.shape}")
    return jnp.broadcast_to(value, reference.shape)
