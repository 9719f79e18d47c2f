"""Optimizers from their configs: `optax` transformations with a scheduled learning rate."""

from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
import optax
from optax import contrib

from artifex.generative_models.core.configuration import (
    AdamaxConfig,
    AdamConfig,
    AdamWConfig,
    LionConfig,
    MuonConfig,
    OptimizerConfig,
    RAdamConfig,
    RMSPropConfig,
    SGDConfig,
    TrainingConfig,
)
from artifex.generative_models.core.schedules import Schedule, make_schedule


def make_optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """The optimizer of a run: clipping, then the update rule with learning rate `learning_rate * schedule(step)`."""
    rule = update_rule(config.optimizer, learning_rate_schedule(config))
    if config.gradient_clip_norm is None:
        return rule
    return optax.chain(optax.clip_by_global_norm(config.gradient_clip_norm), rule)


def learning_rate_schedule(config: TrainingConfig) -> Schedule:
    """Learning rate as a function of the step."""
    factor = make_schedule(config.schedule, config.num_steps)
    return lambda step: config.optimizer.learning_rate * factor(step)


@singledispatch
def update_rule(config: OptimizerConfig, learning_rate: Schedule) -> optax.GradientTransformation:
    """The `optax` transformation of an optimizer's config; register a new one with `@update_rule.register`."""
    raise LookupError(f"no update rule is registered for {type(config).__name__}; use @update_rule.register")


@update_rule.register
def _(config: AdamConfig, learning_rate: Schedule) -> optax.GradientTransformation:
    return optax.adam(learning_rate, b1=config.b1, b2=config.b2, eps=config.eps)


@update_rule.register
def _(config: AdamWConfig, learning_rate: Schedule) -> optax.GradientTransformation:
    return optax.adamw(
        learning_rate,
        b1=config.b1,
        b2=config.b2,
        eps=config.eps,
        weight_decay=config.weight_decay,
        mask=_decays,
    )


@update_rule.register
def _(config: AdamaxConfig, learning_rate: Schedule) -> optax.GradientTransformation:
    return optax.adamax(learning_rate, b1=config.b1, b2=config.b2, eps=config.eps)


@update_rule.register
def _(config: RAdamConfig, learning_rate: Schedule) -> optax.GradientTransformation:
    return optax.radam(learning_rate, b1=config.b1, b2=config.b2, eps=config.eps)


@update_rule.register
def _(config: LionConfig, learning_rate: Schedule) -> optax.GradientTransformation:
    return optax.lion(
        learning_rate, b1=config.b1, b2=config.b2, weight_decay=config.weight_decay, mask=_decays
    )


@update_rule.register
def _(config: MuonConfig, learning_rate: Schedule) -> optax.GradientTransformation:
    return contrib.muon(
        learning_rate,
        beta=config.beta,
        ns_steps=config.num_newton_schulz_steps,
        weight_decay=config.weight_decay,
        adam_b1=config.adam_b1,
        adam_b2=config.adam_b2,
    )


@update_rule.register
def _(config: RMSPropConfig, learning_rate: Schedule) -> optax.GradientTransformation:
    return optax.rmsprop(learning_rate, decay=config.decay, eps=config.eps, momentum=config.momentum or None)


@update_rule.register
def _(config: SGDConfig, learning_rate: Schedule) -> optax.GradientTransformation:
    return optax.sgd(learning_rate, momentum=config.momentum or None, nesterov=config.nesterov)


def _decays(parameters: Any) -> Any:
    """Weight decay acts on matrices and kernels, not on biases and the scales of norms."""
    return jax.tree.map(lambda leaf: jnp.ndim(leaf) >= 2, parameters)
