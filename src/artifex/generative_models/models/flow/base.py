"""What all flows have in common: samples that come with their densities."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import FlowConfig, ManifoldFlowConfig
from artifex.generative_models.core.models import (
    AbstractDensityModel,
    AbstractLatentModel,
    generate_examples,
)
from artifex.generative_models.models.flow.latent import latent_density


class AbstractFlow(AbstractDensityModel, AbstractLatentModel):
    """A map from latents of a simple density to examples, with densities of both.

    Latents are vectors, whatever the shape of an example.
    """

    # Narrower than in the base, which is safe for a field that never changes.
    config: eqx.AbstractVar[FlowConfig]  # pyright: ignore[reportIncompatibleVariableOverride]

    @abc.abstractmethod
    def _sample_and_log_prob_one(
        self, condition: Array | None, temperature: Float[Array, ""], *, key: Key[Array, ""]
    ) -> tuple[Array, Float[Array, ""]]:
        """One new example and the logarithm of the density from which it comes."""

    def sample_and_log_prob(
        self,
        n_samples: int,
        *,
        key: Key[Array, ""],
        condition: Arrays | None = None,
        temperature: float = 1.0,
        chunk_size: int | None = None,
    ) -> tuple[Float[Array, "n_samples ..."], Float[Array, " n_samples"]]:
        """New examples and the logarithm of the density from which they come, in one pass.

        Args:
            n_samples: how many.
            key: as of `generate`: at temperature 1 the examples are the same.
            condition: one for each sample, or a single one for all; None for an unconditional model.
            temperature: factor of the scale of the latents; other than 1, the density is that of the latents so
                scaled, and not the model's. A new value compiles nothing.
            chunk_size: at most so many samples at once.

        Returns:
            Examples of shape `(n_samples, *event_shape)`, and one number for each, in nats.

        Raises:
            ValueError: the temperature is not positive, or not 1 on a closed manifold, whose latents have no scale.
        """
        if not temperature > 0:
            raise ValueError(f"`temperature` must be positive; got {temperature}")
        if temperature != 1 and isinstance(self.config, ManifoldFlowConfig):
            raise ValueError(f"uniform latents have no scale: `temperature` must be 1; got {temperature}")
        return generate_examples(
            type(self)._sample_and_log_prob_one,
            self,
            n_samples,
            key=key,
            condition=condition,
            chunk_size=chunk_size,
            inputs=(jnp.full(n_samples, temperature),),
        )


def sample_latent(
    config: FlowConfig, temperature: Float[Array, ""] | float = 1.0, *, key: Key[Array, ""]
) -> tuple[Float[Array, " size"], Float[Array, ""]]:
    """A latent scaled by the temperature, and the log-density of latents so scaled, in nats."""
    density = latent_density(config.latent, config.event_size)
    z = density.sample(seed=key)
    log_scale = config.event_size * jnp.log(temperature)
    return temperature * z, jnp.asarray(density.log_prob(z)) - log_scale
