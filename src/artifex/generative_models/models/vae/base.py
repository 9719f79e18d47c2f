"""What all VAEs with Gaussian latents share: bounds on log p(x), training by an objective, samples without noise."""

import abc
from collections.abc import Callable
from typing import ClassVar

import distrax
import equinox as eqx
import jax
from jaxtyping import Array, Float, Key, PyTree

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import (
    AutoencoderKLConfig,
    HierarchicalVAEConfig,
    VAEConfig,
)
from artifex.generative_models.core.distributions import AbstractLikelihood
from artifex.generative_models.core.examples import value_range
from artifex.generative_models.core.models import (
    AbstractDensityModel,
    AbstractLatentModel,
    generate_examples,
    map_examples,
)
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.models.vae.bounds import (
    ElboTerms,
    LogWeights,
    elbo_one,
    importance_weighted_bound_one,
)
from artifex.generative_models.models.vae.objectives import AbstractObjective

_CHUNK_SIZE = 32


@value_range.register
def _(config: VAEConfig | HierarchicalVAEConfig | AutoencoderKLConfig) -> tuple[float, float] | None:
    return value_range(config.likelihood)


class AbstractVAE(AbstractDensityModel, AbstractLatentModel):
    """A decoder with a likelihood below some latents, trained by an objective.

    `generate` draws from the model exactly, noise of the likelihood included; `generate_mean` leaves it out, which
    is what most pictures of VAE samples show. `log_prob` is the importance-weighted bound with
    `config.log_prob_samples` samples.
    """

    log_prob_kind: ClassVar[str] = "lower bound"

    # Narrower than in the base, which is safe for a field that never changes.
    config: eqx.AbstractVar[VAEConfig | HierarchicalVAEConfig | AutoencoderKLConfig]  # pyright: ignore[reportIncompatibleVariableOverride]
    decoder: eqx.AbstractVar[Callable[..., Array]]
    likelihood: eqx.AbstractVar[AbstractLikelihood]
    objective: eqx.AbstractVar[AbstractObjective]

    @abc.abstractmethod
    def _elbo_terms_one(self, x: Array, condition: Array | None, *, key: Key[Array, ""]) -> ElboTerms:
        """The ELBO's parts for one example, by one posterior sample."""

    @abc.abstractmethod
    def _log_weights_one(
        self, x: Array, condition: Array | None, *, keys: Key[Array, " samples"]
    ) -> LogWeights:
        """Log importance weights of one example, of one posterior sample for each key."""

    @abc.abstractmethod
    def _prior_sample_one(self, condition: Array | None, *, key: Key[Array, ""]) -> PyTree[Array]:
        """Latents from the prior."""

    @abc.abstractmethod
    def _likelihood_one(self, z: PyTree[Array], condition: Array | None) -> distrax.Distribution:
        """p(x|z)."""

    def _loss_batch(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        return self.objective.loss_batch(self, x, condition, key=key, step=step)

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        latent_key, noise_key = jax.random.split(key)
        z = self._prior_sample_one(condition, key=latent_key)
        return self._likelihood_one(z, condition).sample(seed=noise_key)

    def _generate_mean_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        latent_key, _ = jax.random.split(key)
        return self._decode_one(self._prior_sample_one(condition, key=latent_key), condition)

    def _decode_one(self, z: PyTree[Array], condition: Array | None) -> Array:
        return self._likelihood_one(z, condition).mean()

    def _log_prob_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, ""]:
        if key is None:  # `log_prob` says so before, as this is a bound
            raise ValueError("the importance-weighted bound is sampled: it needs `key`")
        num_samples = self.config.log_prob_samples
        return importance_weighted_bound_one(
            self, x, condition, key=key, num_samples=num_samples, chunk_size=_CHUNK_SIZE
        )

    def elbo(
        self, x: Arrays, condition: Arrays | None = None, *, key: Key[Array, ""]
    ) -> Float[Array, " batch"]:
        """One-sample estimates of the evidence lower bound on log p(x), in nats.

        Args:
            x: batch of examples, shape `(batch, *event_shape)`.
            condition: batch of conditions, for a conditional model.
            key: randomness of the posterior samples.
        """
        return map_examples(elbo_one, self, x, condition, key)

    def importance_weighted_bound(
        self,
        x: Arrays,
        condition: Arrays | None = None,
        *,
        key: Key[Array, ""],
        num_samples: int,
        chunk_size: int = _CHUNK_SIZE,
    ) -> Float[Array, " batch"]:
        """The bound E[log 1/k sum_i p(x, z_i) / q(z_i|x)] on log p(x), one estimate for each example, in nats.

        It rises with `num_samples`; 5,000 is the usual number for a test score. Each pair of `num_samples` and
        `chunk_size` compiles once.

        Args:
            x: batch of examples, shape `(batch, *event_shape)`.
            condition: batch of conditions, for a conditional model.
            key: randomness of the posterior samples.
            num_samples: k, samples for each example.
            chunk_size: so many samples of each example are in memory at once.
        """
        if num_samples < 1 or chunk_size < 1:
            raise ValueError(
                f"`num_samples` and `chunk_size` must be at least 1; got {num_samples} and {chunk_size}"
            )
        return map_examples(
            importance_weighted_bound_one,
            self,
            x,
            condition,
            key,
            num_samples=num_samples,
            chunk_size=chunk_size,
        )

    def generate_mean(
        self,
        n_samples: int,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        chunk_size: int | None = None,
    ) -> Float[Array, "n_samples ..."]:
        """Means of p(x|z) at the latents of `generate` with the same key: new examples without their noise.

        Args:
            n_samples: how many.
            key: sample `i` is made with `fold_in(key, i)`.
            condition: one for each sample, or a single one for all; None for an unconditional model.
            chunk_size: at most so many samples at once, where all together would not fit in memory.
        """
        return generate_examples(
            AbstractVAE._generate_mean_one,
            self,
            n_samples,
            key=key,
            condition=condition,
            chunk_size=chunk_size,
        )
