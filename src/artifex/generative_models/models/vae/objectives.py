"""What training of a VAE minimises, on a batch: one class for each kind of objective.

All report, in nats and as means over the batch: "loss", "reconstruction" (-log p(x|z)), "kl" (KL(q(z|x) || p(z)))
and "elbo" (with weight 1 on the KL, whatever the objective's own weight is); a model with several layers of latents
adds the KL of each, "kl_1" and so on.
"""

import abc
import functools
from typing import cast

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import (
    CapacityConfig,
    ElboConfig,
    ImportanceWeightedConfig,
    MMDConfig,
    ScheduleConfig,
    TotalCorrelationConfig,
    VAEObjectiveConfig,
)
from artifex.generative_models.core.losses import IMQKernel, mmd_batch
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import example_keys
from artifex.generative_models.core.schedules import make_schedule
from artifex.generative_models.models.vae.bounds import (
    BoundedModel,
    ElboTerms,
    SingleLayerModel,
    batch_elbo_terms,
    doubly_reparameterized_log_weights,
    log_mean_exp,
)
from artifex.generative_models.models.vae.total_correlation import kl_decomposition_batch


class AbstractObjective(eqx.Module):
    """A loss of a model that gives the parts of the bounds; some need one vector of latents."""

    @abc.abstractmethod
    def loss_batch(
        self,
        model: BoundedModel,
        x: Array,
        condition: Array | None,
        *,
        key: Key[Array, ""],
        step: Array,
    ) -> LossOutput:
        """Loss and metrics of a batch."""


class Elbo(AbstractObjective):
    """Reconstruction plus a weight times the KL.

    Source: Kingma & Welling 2014, arXiv:1312.6114, equation 8; with a weight: Higgins et al. 2017 (beta-VAE).
    """

    kl_weight: ScheduleConfig = eqx.field(static=True)

    def loss_batch(
        self,
        model: BoundedModel,
        x: Array,
        condition: Array | None,
        *,
        key: Key[Array, ""],
        step: Array,
    ) -> LossOutput:
        """Mean over the batch."""
        terms = batch_elbo_terms(model, x, condition, key=key)
        weight = make_schedule(self.kl_weight)(step)
        total = jnp.mean(terms.reconstruction + weight * terms.kl)
        return _output(total, _elbo_metrics(terms), kl_weight=weight)


class Capacity(AbstractObjective):
    """Reconstruction plus a weight times the distance of the KL from a capacity that changes during training.

    Source: Burgess et al. 2018, arXiv:1804.03599. The KL is averaged over the batch before the distance is taken.
    """

    config: CapacityConfig = eqx.field(static=True)

    def loss_batch(
        self,
        model: BoundedModel,
        x: Array,
        condition: Array | None,
        *,
        key: Key[Array, ""],
        step: Array,
    ) -> LossOutput:
        """Mean reconstruction plus the weighted distance."""
        terms = batch_elbo_terms(model, x, condition, key=key)
        capacity = make_schedule(self.config.capacity)(step)
        distance = jnp.abs(jnp.mean(terms.kl) - capacity)
        total = jnp.mean(terms.reconstruction) + self.config.weight * distance
        return _output(total, _elbo_metrics(terms), capacity=capacity)


class ImportanceWeighted(AbstractObjective):
    """The negative importance-weighted bound. Its "reconstruction" and "kl" are means over the posterior samples.

    Source: Burda et al. 2016, arXiv:1509.00519, equation 8; the estimator "dreg": Tucker et al. 2019,
    arXiv:1810.04152.
    """

    config: ImportanceWeightedConfig = eqx.field(static=True)

    def loss_batch(
        self,
        model: BoundedModel,
        x: Array,
        condition: Array | None,
        *,
        key: Key[Array, ""],
        step: Array,
    ) -> LossOutput:
        """Mean over the batch."""
        num_samples = self.config.num_samples

        def one(x, condition, key):
            keys = example_keys(key, num_samples)
            if self.config.estimator == "dreg":
                single = cast(SingleLayerModel, model)  # the configs of other models refuse this estimator
                weights = doubly_reparameterized_log_weights(single, x, condition, keys=keys)
            else:
                weights = model._log_weights_one(x, condition, keys=keys)
            return log_mean_exp(weights.total), weights

        bounds, weights = jax.vmap(one)(x, condition, example_keys(key, x.shape[0]))
        bound = jnp.mean(bounds)
        parts = jax.tree.map(lambda part: -jnp.mean(part), weights.ratio_parts)
        metrics = _metrics(-jnp.mean(weights.likelihood), -jnp.mean(weights.ratio), parts)
        return _output(-bound, metrics, importance_weighted_bound=bound)


class TotalCorrelation(AbstractObjective):
    """Reconstruction plus the three parts of the KL, each with a weight of its own (beta-TC-VAE).

    Source: Chen et al. 2018, arXiv:1802.04942, equation 4.
    """

    config: TotalCorrelationConfig = eqx.field(static=True)

    def loss_batch(
        self,
        model: SingleLayerModel,
        x: Array,
        condition: Array | None,
        *,
        key: Key[Array, ""],
        step: Array,
    ) -> LossOutput:
        """Mean reconstruction plus the weighted parts."""
        terms = batch_elbo_terms(model, x, condition, key=key)
        posteriors = jax.vmap(model._posterior_one)(x, condition)
        parts = kl_decomposition_batch(
            terms.z,
            posteriors.mean(),
            posteriors.stddev(),
            dataset_size=self.config.dataset_size,
            estimator=self.config.estimator,
        )
        total = (
            jnp.mean(terms.reconstruction)
            + self.config.mutual_information_weight * parts.mutual_information
            + self.config.total_correlation_weight * parts.total_correlation
            + self.config.dimension_wise_weight * parts.dimension_wise_kl
        )
        return _output(
            total,
            _elbo_metrics(terms),
            mutual_information=parts.mutual_information,
            total_correlation=parts.total_correlation,
            dimension_wise_kl=parts.dimension_wise_kl,
        )


class MMD(AbstractObjective):
    """Reconstruction plus a weight times the squared MMD between posterior and prior samples (WAE-MMD).

    Source: Tolstikhin et al. 2018, arXiv:1711.01558, algorithm 2. Deviations: the encoder is random, which the
    paper allows; reconstruction is -log p(x|z), of which its squared error is one case; and the kernel is the mean
    over its scales, not their sum.
    """

    config: MMDConfig = eqx.field(static=True)

    def loss_batch(
        self,
        model: SingleLayerModel,
        x: Array,
        condition: Array | None,
        *,
        key: Key[Array, ""],
        step: Array,
    ) -> LossOutput:
        """Mean reconstruction plus the weighted MMD."""
        posterior_key, prior_key = jax.random.split(key)
        terms = batch_elbo_terms(model, x, condition, key=posterior_key)
        prior_z = _prior_samples(model, condition, example_keys(prior_key, x.shape[0]))
        size = terms.z.shape[1]
        kernel = IMQKernel(scales=tuple((2 * size * scale) ** 0.5 for scale in self.config.kernel_scales))
        mmd = mmd_batch(terms.z, prior_z, kernel=kernel)
        total = jnp.mean(terms.reconstruction) + self.config.weight * mmd
        return _output(total, _elbo_metrics(terms), mmd=mmd)


def _prior_samples(
    model: SingleLayerModel, condition: Array | None, keys: Key[Array, " batch"]
) -> Float[Array, "batch latent"]:
    return jax.vmap(lambda condition, key: model._prior_one(condition).sample(seed=key))(condition, keys)


def _elbo_metrics(terms: ElboTerms) -> dict[str, Float[Array, ""]]:
    parts = jax.tree.map(jnp.mean, terms.kl_parts)
    return _metrics(jnp.mean(terms.reconstruction), jnp.mean(terms.kl), parts)


def _metrics(
    reconstruction: Float[Array, ""], kl: Float[Array, ""], kl_parts: dict[str, Float[Array, ""]]
) -> dict[str, Float[Array, ""]]:
    return {"reconstruction": reconstruction, "kl": kl, "elbo": -reconstruction - kl, **kl_parts}


def _output(total: Float[Array, ""], metrics: dict[str, Array], **more: Float[Array, ""]) -> LossOutput:
    return LossOutput(total=total, metrics={"loss": total, **metrics, **more})


@functools.singledispatch
def make_objective(config: VAEObjectiveConfig, kl_weight: ScheduleConfig) -> AbstractObjective:
    """The objective that a config describes.

    Args:
        config: which one. Register another kind with `make_objective.register`.
        kl_weight: weight of the KL, by training step; only "elbo" uses it.
    """
    raise LookupError(f"no objective is registered for {type(config).__name__}; use @make_objective.register")


@make_objective.register
def _(config: ElboConfig, kl_weight: ScheduleConfig) -> AbstractObjective:
    return Elbo(kl_weight)


@make_objective.register
def _(config: CapacityConfig, kl_weight: ScheduleConfig) -> AbstractObjective:
    return Capacity(config)


@make_objective.register
def _(config: ImportanceWeightedConfig, kl_weight: ScheduleConfig) -> AbstractObjective:
    return ImportanceWeighted(config)


@make_objective.register
def _(config: TotalCorrelationConfig, kl_weight: ScheduleConfig) -> AbstractObjective:
    return TotalCorrelation(config)


@make_objective.register
def _(config: MMDConfig, kl_weight: ScheduleConfig) -> AbstractObjective:
    return MMD(config)
