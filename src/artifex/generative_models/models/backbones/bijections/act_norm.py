"""Normalisation of activations, whose parameters are set by the first batch.

Source: Kingma & Dhariwal 2018 (Glow), arXiv:1807.03039, section 3.1.
"""

import math
from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from artifex.generative_models.models.backbones.bijections.base import (
    AbstractBijection,
    AbstractUnconditionalBijection,
    Condition,
    Example,
    LogDet,
    log_det_sum,
)
from artifex.generative_models.models.backbones.bijections.compose import (
    Chain,
    Inverted,
    ScannedBijection,
)
from artifex.generative_models.models.backbones.bijections.split import Split

Batch = Float[Array, "batch ..."]
Conditions = Float[Array, "batch condition_size"]


class ActNorm(AbstractUnconditionalBijection):
    """y = loc + scale x, for each channel of an image or sequence, or for each entry of a vector.

    At first the identity; `initialized` makes what leaves it on the way to the latent standardised.

    Attributes:
        loc: shift.
        log_scale: logarithm of the scale.
        is_set: whether `initialized` has set them.
    """

    loc: Float[Array, "..."]
    log_scale: Float[Array, "..."]
    is_set: Bool[Array, ""]
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...]):
        """The identity on examples of a shape, channels first."""
        shape = (event_shape[0], *[1] * (len(event_shape) - 1)) if event_shape else ()
        self.loc = jnp.zeros(shape)
        self.log_scale = jnp.zeros(shape)
        self.is_set = jnp.zeros((), bool)
        self.event_shape = event_shape

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return self.loc + jnp.exp(self.log_scale) * x, self._log_det()

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return (y - self.loc) * jnp.exp(-self.log_scale), -self._log_det()

    def _log_det(self) -> LogDet:
        return math.prod(self.event_shape[1:]) * log_det_sum(self.log_scale)


def initialized(
    bijection: AbstractBijection, batch: Batch, condition: Conditions | None = None
) -> AbstractBijection:
    """The same bijection with every `ActNorm` in it set so that its latents of this batch are standardised.

    It walks from data to latent, through chains, inverses, scans and splits; each sees what the ones before it,
    already set, make of the batch. A channel that does not vary keeps the scale 1.

    Args:
        bijection: any; without an `ActNorm` it comes back as it is.
        batch: data, shape `(batch, *out_shape)`, at least two examples.
        condition: their condition vectors; None: unconditional.

    Raises:
        ValueError: the batch holds fewer than two examples.
    """
    if len(batch) < 2:
        raise ValueError(f"`initialized` needs at least two examples to take a variance; got {len(batch)}")
    return _initialized(bijection, batch, condition, False)[0]


@singledispatch
def _initialized(
    bijection: AbstractBijection, batch: Batch, condition: Conditions | None, is_forward: bool
) -> tuple[AbstractBijection, Batch]:
    """The initialised bijection, and what it makes of the batch, by its forward or its inverse map."""
    method = bijection.forward if is_forward else bijection.inverse
    if condition is None or not bijection.condition_size:
        return bijection, jax.vmap(method)(batch)
    return bijection, jax.vmap(method)(batch, condition)


@_initialized.register
def _(
    bijection: ActNorm, batch: Batch, condition: Conditions | None, is_forward: bool
) -> tuple[AbstractBijection, Batch]:
    axes = (0, *range(2, batch.ndim))
    full = batch.astype(jnp.promote_types(batch.dtype, jnp.float32))
    mean, std = jnp.mean(full, axis=axes), jnp.std(full, axis=axes)
    std = jnp.where(std > 1e-6 * jnp.abs(mean), std, 1.0)
    std = jnp.where(std > 0, std, 1.0)
    loc, log_scale = (-mean / std, -jnp.log(std)) if is_forward else (mean, jnp.log(std))
    shape, dtype = bijection.loc.shape, bijection.loc.dtype
    new = eqx.tree_at(
        lambda layer: (layer.loc, layer.log_scale, layer.is_set),
        bijection,
        (loc.reshape(shape).astype(dtype), log_scale.reshape(shape).astype(dtype), jnp.ones((), bool)),
    )
    return new, jax.vmap(new.forward if is_forward else new.inverse)(batch)


@_initialized.register
def _(
    bijection: Inverted, batch: Batch, condition: Conditions | None, is_forward: bool
) -> tuple[AbstractBijection, Batch]:
    inner, batch = _initialized(bijection.bijection, batch, condition, not is_forward)
    return Inverted(inner), batch


@_initialized.register
def _(
    bijection: Chain, batch: Batch, condition: Conditions | None, is_forward: bool
) -> tuple[AbstractBijection, Batch]:
    parts = []
    for part in bijection.bijections if is_forward else reversed(bijection.bijections):
        part, batch = _initialized(part, batch, condition, is_forward)
        parts.append(part)
    return Chain(parts if is_forward else parts[::-1]), batch


@_initialized.register
def _(
    bijection: ScannedBijection, batch: Batch, condition: Conditions | None, is_forward: bool
) -> tuple[AbstractBijection, Batch]:
    def step(layer: AbstractBijection, batch: Batch, _: None) -> tuple[Batch, AbstractBijection]:
        new, batch = _initialized(layer, batch, condition, is_forward)
        return batch, eqx.filter(new, eqx.is_array)

    batch, arrays = bijection.stack.scan(step, batch, None, is_reversed=not is_forward)
    layers = eqx.combine(arrays, bijection.stack.layers)
    return eqx.tree_at(lambda scanned: scanned.stack.layers, bijection, layers), batch


@_initialized.register
def _(
    bijection: Split, batch: Batch, condition: Conditions | None, is_forward: bool
) -> tuple[AbstractBijection, Batch]:
    leaving, going_on = jnp.split(batch, 2, axis=1)
    rest, going_on = _initialized(bijection.rest, going_on, condition, is_forward)
    shape = bijection.out_shape if is_forward else bijection.event_shape
    half = (len(batch), shape[0] // 2, *shape[1:])
    return Split(rest), jnp.concatenate([leaving.reshape(half), going_on], axis=1)
