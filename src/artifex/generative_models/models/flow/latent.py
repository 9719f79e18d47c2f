"""Densities of latents."""

from functools import singledispatch

import distrax
import jax.numpy as jnp

from artifex.generative_models.core.configuration import (
    LatentDensityConfig,
    LogisticLatentConfig,
    NormalLatentConfig,
    StudentTLatentConfig,
)
from artifex.generative_models.core.distributions import logistic, normal, student_t


@singledispatch
def latent_density(config: LatentDensityConfig, size: int) -> distrax.Distribution:
    """The density of a vector of latents.

    Args:
        config: its kind.
        size: length of the vector.
    """
    raise LookupError(f"no density is registered for {type(config).__name__}; use @latent_density.register")


@latent_density.register
def _(config: NormalLatentConfig, size: int) -> distrax.Distribution:
    return normal(jnp.zeros(size), 1.0)


@latent_density.register
def _(config: LogisticLatentConfig, size: int) -> distrax.Distribution:
    return logistic(jnp.zeros(size), 1.0)


@latent_density.register
def _(config: StudentTLatentConfig, size: int) -> distrax.Distribution:
    return student_t(jnp.zeros(size), 1.0, config.df)
