"""Residual layers, whose log-determinant training may estimate."""

from functools import singledispatch

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import ResidualConfig, RussianRouletteConfig
from artifex.generative_models.models.backbones.bijections.base import (
    AbstractBijection,
    AbstractSameShapeBijection,
    Condition,
    Example,
    LogDet,
    check_vector_shape,
    log_det_dtype,
)
from artifex.generative_models.models.backbones.bijections.compose import (
    Chain,
    ScannedBijection,
    condition_of,
)
from artifex.generative_models.models.backbones.bijections.fixed_point import residual_root
from artifex.generative_models.models.backbones.bijections.log_det_estimate import estimated_log_det
from artifex.generative_models.models.backbones.bijections.spectral import LipschitzMLP


class Residual(AbstractSameShapeBijection):
    """From data y to latent, x = y + g(y), with a contraction g; the other direction is an iteration.

    Log-determinants are exact, by the Jacobian, unless `estimated_inverse_and_log_det` is asked for an estimate.

    Source: Behrmann et al. 2019 (i-ResNet), arXiv:1811.00995.

    Attributes:
        network: g. A condition shifts its first hidden layer.
        estimator: how the log-determinant is estimated; None: never.
    """

    network: LipschitzMLP
    estimator: RussianRouletteConfig | None = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: ResidualConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int = 0,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            config: sizes, bound of g's Lipschitz constant, and estimator.
            event_shape: (size,).
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the weights.
        """
        size = check_vector_shape("Residual", event_shape)
        self.network = LipschitzMLP(
            size,
            hidden_size=config.hidden_size,
            num_layers=config.num_layers,
            lipschitz=config.lipschitz,
            condition_size=condition_size,
            key=key,
        )
        self.estimator = config.estimator
        self.event_shape = event_shape
        self.condition_size = condition_size

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        full = x.astype(log_det_dtype(x))
        y = residual_root(lambda y: self.network(y, condition), full)
        return y, -self._residual_and_log_det(y, condition)[1]

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        full = y.astype(log_det_dtype(y))
        residual, log_det = self._residual_and_log_det(full, condition)
        return full + residual, log_det

    def _residual_and_log_det(
        self, y: Float[Array, " size"], condition: Condition | None
    ) -> tuple[Float[Array, " size"], LogDet]:
        def residual(y: Float[Array, " size"]) -> tuple[Array, Array]:
            value = self.network(y, condition)
            return value, value

        jacobian, value = jax.jacfwd(residual, has_aux=True)(y)
        return value, jnp.linalg.slogdet(jnp.eye(len(y), dtype=y.dtype) + jacobian)[1]


class _Conditioned(eqx.Module):
    """A network with its condition given."""

    network: LipschitzMLP
    condition: Condition | None

    def __call__(self, y: Float[Array, " size"]) -> Float[Array, " size"]:
        return self.network(y, self.condition)


def has_estimates(bijection: AbstractBijection) -> bool:
    """Whether `estimated_inverse_and_log_det` estimates anything."""
    nodes = jax.tree.leaves(bijection, is_leaf=lambda node: isinstance(node, Residual))
    return any(isinstance(node, Residual) and node.estimator is not None for node in nodes)


@singledispatch
def estimated_inverse_and_log_det(
    bijection: AbstractBijection,
    y: Example,
    condition: Condition | None = None,
    *,
    key: Key[Array, ""],
) -> tuple[Example, LogDet]:
    """From data to latent, with an unbiased estimate of log |det dx/dy| where a `Residual` has an estimator.

    It walks through chains and scans; what stands elsewhere is exact. It can be differentiated once, in reverse.

    Args:
        bijection: any.
        y: example of shape `out_shape`.
        condition: vector of `condition_size` numbers; None for an unconditional bijection.
        key: randomness of the estimate, another for each layer.
    """
    return bijection.inverse_and_log_det(y, condition)


@estimated_inverse_and_log_det.register
def _(
    bijection: Residual, y: Example, condition: Condition | None = None, *, key: Key[Array, ""]
) -> tuple[Example, LogDet]:
    if bijection.estimator is None:
        return bijection.inverse_and_log_det(y, condition)
    g = _Conditioned(bijection.network, condition)
    full = y.astype(log_det_dtype(y))
    log_det = estimated_log_det(g, full, bijection.estimator, key=key)
    return (full + g(full)).astype(y.dtype), log_det


@estimated_inverse_and_log_det.register
def _(
    bijection: Chain, y: Example, condition: Condition | None = None, *, key: Key[Array, ""]
) -> tuple[Example, LogDet]:
    total = jnp.zeros((), log_det_dtype(y))
    for index, part in reversed(list(enumerate(bijection.bijections))):
        y, log_det = estimated_inverse_and_log_det(
            part, y, condition_of(part, condition), key=jax.random.fold_in(key, index)
        )
        total = total + log_det
    return y, total


@estimated_inverse_and_log_det.register
def _(
    bijection: ScannedBijection, y: Example, condition: Condition | None = None, *, key: Key[Array, ""]
) -> tuple[Example, LogDet]:
    def step(
        layer: AbstractBijection, carry: tuple[Example, LogDet], key: Key[Array, ""]
    ) -> tuple[tuple[Example, LogDet], None]:
        y, log_det = estimated_inverse_and_log_det(layer, carry[0], condition, key=key)
        return (y, carry[1] + log_det), None

    keys = jax.random.split(key, bijection.stack.num_layers)
    start = (y, jnp.zeros((), log_det_dtype(y)))
    return bijection.stack.scan(step, start, keys, is_reversed=True)[0]
