"""Densities of latents."""

import math
from functools import singledispatch

import distrax
import jax.numpy as jnp

from artifex.generative_models.core.configuration import (
    LatentDensityConfig,
    LogisticLatentConfig,
    NormalLatentConfig,
    StudentTLatentConfig,
    UniformSphereLatentConfig,
    UniformTorusLatentConfig,
)
from artifex.generative_models.core.distributions import (
    logistic,
    normal,
    student_t,
    uniform,
    von_mises_fisher,
)


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


@latent_density.register
def _(config: UniformTorusLatentConfig, size: int) -> distrax.Distribution:
    return uniform(jnp.full(size, -math.pi), jnp.full(size, math.pi))


@latent_density.register
def _(config: UniformSphereLatentConfig, size: int) -> distrax.Distribution:
    return von_mises_fisher(jnp.eye(size)[-1], 0.0)
