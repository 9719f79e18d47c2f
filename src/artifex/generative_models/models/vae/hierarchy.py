"""The generative side of a hierarchical VAE: p(z_L) p(z_{L-1}|z_L) ... p(z_1|z_2), with p(z_L) = N(0, 1).

Latents are a tuple `(z_1, ..., z_L)`, from the layer that the decoder sees upwards. Everything that goes down
through the layers (sampling, the ladder's inference, means, replayed noise) differs only in how it chooses each
layer's latents once their prior is known, so there is one `descend`.
"""

from collections.abc import Callable

import distrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import HierarchicalVAEConfig, MLPDecoderConfig
from artifex.generative_models.core.distributions import normal, normal_from_output
from artifex.generative_models.models.backbones import make_decoder

Latents = tuple[Float[Array, "..."], ...]
Distributions = tuple[distrax.Distribution, ...]


class NormalLayer(eqx.Module):
    """The distribution of one layer's latents, given a vector: a neighbouring layer's latents, or features."""

    network: Callable[..., Array]

    def __init__(
        self,
        in_size: int,
        latent_size: int,
        *,
        config: MLPDecoderConfig,
        condition_size: int = 0,
        key: Key[Array, ""],
    ):
        """Build the network.

        Args:
            in_size: length of the vector.
            latent_size: number of latents.
            config: the network.
            condition_size: length of the condition vector; 0: it takes none.
            key: randomness of the weights.
        """
        self.network = make_decoder(
            config, in_size, condition_size=condition_size, out_shape=(2 * latent_size,), key=key
        )

    def __call__(
        self, given: Float[Array, " in_size"], condition_vector: Float[Array, " n"] | None = None
    ) -> distrax.Distribution:
        """Independent normal latents."""
        return normal_from_output(self.network(given, condition_vector))


class Hierarchy(eqx.Module):
    """The prior of all layers.

    Attributes:
        layers: number l - 1 is p(z_l | z_{l+1}, condition).
        top_size: number of latents of the top layer.
    """

    layers: tuple[NormalLayer, ...]
    top_size: int = eqx.field(static=True)

    def __init__(self, config: HierarchicalVAEConfig, *, key: Key[Array, ""]):
        """Random parameters.

        Args:
            config: of the model.
            key: randomness of the parameters.
        """
        sizes = config.latent_sizes
        keys = jax.random.split(key, len(sizes) - 1)
        network = MLPDecoderConfig(hidden_sizes=config.hidden_sizes, activation=config.activation)
        self.layers = tuple(
            NormalLayer(above, size, config=network, condition_size=config.condition_size, key=key)
            for size, above, key in zip(sizes[:-1], sizes[1:], keys, strict=True)
        )
        self.top_size = sizes[-1]

    def descend(
        self,
        choose: Callable[[int, distrax.Distribution], Float[Array, " latent"]],
        condition_vector: Float[Array, " n"] | None,
    ) -> tuple[Latents, Distributions]:
        """Latents from the top layer down.

        Args:
            choose: `(layer, prior) -> latents`, with layer 0 for z_1, and the prior given the layer above.
            condition_vector: the condition, or None.

        Returns:
            Latents and priors of all layers, each from z_1 upwards.
        """
        latents, priors = [], []
        prior = normal(jnp.zeros(self.top_size), 1.0)
        for layer in reversed(range(len(self.layers) + 1)):
            z = choose(layer, prior)
            latents.append(z)
            priors.append(prior)
            if layer > 0:
                prior = self.layers[layer - 1](z, condition_vector)
        return tuple(reversed(latents)), tuple(reversed(priors))

    def sample(self, condition_vector: Float[Array, " n"] | None, *, key: Key[Array, ""]) -> Latents:
        """Latents from the prior."""
        keys = jax.random.split(key, len(self.layers) + 1)
        return self.descend(lambda layer, prior: prior.sample(seed=keys[layer]), condition_vector)[0]
