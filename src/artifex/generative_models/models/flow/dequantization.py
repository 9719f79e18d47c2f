"""Variational dequantization: a flow's density of real numbers as a model of integers.

An integer v in [0, L) has the probability of all y = (v + u) / L with u in (0, 1). With noise from q(u | v),

    log P(v) >= E_q[log p((v + u) / L) - D log L - log q(u | v)],

which is tight where q is the density of u that p has given v. Source: Ho et al. 2019 (Flow++), arXiv:1902.00275,
equations 11 and 12; Theis et al. 2016, arXiv:1511.01844, for uniform q, which the representations of images add.
Deviation: q begins with logistic numbers instead of normal ones, so that it is uniform before it is trained, and its
importance weights have a finite variance.
"""

import math
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import (
    ChainConfig,
    DequantizedFlowConfig,
    ImageCouplingConfig,
    ScannedConfig,
)
from artifex.generative_models.core.distributions import logistic
from artifex.generative_models.core.examples import value_range
from artifex.generative_models.core.models import (
    AbstractDensityModel,
    checked_batch,
    map_examples,
    mean_loss,
)
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import example_keys
from artifex.generative_models.core.registry import model_builder, register_model
from artifex.generative_models.models.backbones import condition_vector
from artifex.generative_models.models.backbones.bijections import (
    AbstractBijection,
    make_bijection,
    with_advanced_norms,
)
from artifex.generative_models.models.flow.model import NormalizingFlow

_CHUNK_SIZE = 16


@value_range.register
def _(config: DequantizedFlowConfig) -> tuple[float, float] | None:
    return 0.0, config.num_levels - 1.0


@register_model(DequantizedFlowConfig)
class DequantizedFlow(AbstractDensityModel):
    """A flow of images of integers, with noise that a conditional flow makes.

    `log_prob` is one draw of the lower bound, as is `elbo`.

    Attributes:
        flow: the density of (integer + noise) / num_levels.
        dequantizer: from logistic numbers to the logits of the noise, given the image and the model's condition.
    """

    log_prob_kind: ClassVar[str] = "lower bound"

    config: DequantizedFlowConfig = eqx.field(static=True)
    flow: NormalizingFlow
    dequantizer: AbstractBijection

    def __init__(self, config: DequantizedFlowConfig, *, key: Key[Array, ""]):
        """Random weights; the noise is at first uniform."""
        flow_key, dequantizer_key = jax.random.split(key)
        self.config = config
        self.flow = model_builder(type(config.flow))(config.flow, key=flow_key)
        couplings = tuple(
            ImageCouplingConfig(
                mask=mask,
                hidden_channels=config.hidden_channels,
                num_blocks=config.num_blocks,
                condition_channels=config.event_shape[0],
            )
            for mask in ("even", "odd")
        )
        self.dequantizer = make_bijection(
            ScannedConfig(layer=ChainConfig(layers=couplings), num_layers=config.num_layers),
            config.event_shape,
            condition_size=config.event_size + config.condition_size,
            key=dequantizer_key,
        )

    # One example

    def _noise_and_log_prob_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""]
    ) -> tuple[Float[Array, "channels height width"], Float[Array, ""]]:
        """Noise in (0, 1) and the logarithm of its density."""
        image = x.astype(jnp.float32) * (2.0 / (self.config.num_levels - 1)) - 1.0
        vector = condition_vector(self.config, condition)
        parts = [image.ravel()] if vector is None else [image.ravel(), vector]
        start = jax.random.logistic(key, x.shape)
        logits, log_det = self.dequantizer.forward_and_log_det(start, jnp.concatenate(parts))
        log_slopes = jax.nn.log_sigmoid(logits) + jax.nn.log_sigmoid(-logits)
        log_start = logistic(jnp.zeros(start.size), 1.0).log_prob(start.ravel())
        return jax.nn.sigmoid(logits), jnp.asarray(log_start) - log_det - jnp.sum(log_slopes)

    def _bound_terms_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], Float[Array, ""]]:
        """Log p of the integer with noise, per unit of the integers, and log q of the noise."""
        noise, log_q = self._noise_and_log_prob_one(x, condition, key=key)
        y = (x + noise) / self.config.num_levels
        log_p = self.flow._log_prob_one(y, condition, key=None)
        return log_p - self.config.event_size * math.log(self.config.num_levels), log_q

    def _log_prob_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, ""]:
        if key is None:  # `log_prob` says so before, as this is a bound
            raise ValueError("the bound is of drawn noise: it needs `key`")
        log_p, log_q = self._bound_terms_one(x, condition, key=key)
        return log_p - log_q

    def _loss_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        log_p, log_q = self._bound_terms_one(x, condition, key=key)
        return log_q - log_p, {"flow_log_prob": log_p, "noise_entropy": -log_q}

    def _loss_batch(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        flow = with_advanced_norms(self.flow)
        if flow is self.flow:
            return mean_loss(self._loss_one, x, condition, key=key)
        model = eqx.tree_at(lambda model: model.flow, self, flow)
        output = mean_loss(model._loss_one, x, condition, key=key)
        return LossOutput(total=output.total, metrics=output.metrics, model=model)

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        y = self.flow._generate_one(condition, key=key)
        levels = jnp.clip(jnp.floor(y * self.config.num_levels), 0, self.config.num_levels - 1)
        return levels.astype(jnp.int32)

    def _weighted_bound_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], num_samples: int
    ) -> Float[Array, ""]:
        keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(num_samples))
        log_weights = jax.lax.map(
            lambda key: self._log_prob_one(x, condition, key=key),
            keys,
            batch_size=min(num_samples, _CHUNK_SIZE),
        )
        return jax.nn.logsumexp(log_weights) - math.log(num_samples)

    # A batch

    def elbo(
        self, x: Arrays, condition: Arrays | None = None, *, key: Key[Array, ""]
    ) -> Float[Array, " batch"]:
        """One-sample estimates of the lower bound on log P(x), in nats.

        Args:
            x: batch of integers, shape `(batch, *event_shape)`.
            condition: batch of conditions, for a conditional model.
            key: randomness of the noise.
        """
        return self.log_prob(x, condition=condition, key=key)

    def importance_weighted_bound(
        self, x: Arrays, condition: Arrays | None = None, *, key: Key[Array, ""], num_samples: int
    ) -> Float[Array, " batch"]:
        """The bound E[log 1/k sum_i P(x, u_i) / q(u_i|x)] on log P(x), one estimate for each example, in nats.

        It rises with `num_samples` to log P(x).

        Args:
            x: batch of integers, shape `(batch, *event_shape)`.
            condition: batch of conditions, for a conditional model.
            key: randomness of the noise.
            num_samples: k, draws of the noise of each example; each number compiles once.
        """
        if num_samples < 1:
            raise ValueError(f"`num_samples` must be at least 1; got {num_samples}")
        return map_examples(
            DequantizedFlow._weighted_bound_one, self, x, condition, key, num_samples=num_samples
        )

    @property
    def starts_from_data(self) -> bool:
        """Whether the flow does."""
        return self.flow.starts_from_data

    def initialized(
        self, x: Arrays, condition: Arrays | None = None, *, key: Key[Array, ""] | None = None
    ) -> "DequantizedFlow":
        """The same model with the `act_norm` layers of its flow set by a batch with noise.

        Args:
            x: a batch of integers, shape `(batch, *event_shape)`, at least two examples.
            condition: their conditions, for a conditional model.
            key: randomness of the noise.

        Raises:
            ValueError: there is no key.
        """
        if key is None:
            raise ValueError("the noise is drawn: `initialized` needs `key`")
        x, condition = checked_batch(self.config, x, condition)
        noise, _ = jax.vmap(lambda x, condition, key: self._noise_and_log_prob_one(x, condition, key=key))(
            x, condition, example_keys(key, len(x))
        )
        flow = self.flow.initialized((x + noise) / self.config.num_levels, condition)
        return eqx.tree_at(lambda model: model.flow, self, flow)
