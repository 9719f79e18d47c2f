"""The latents of a trained autoencoder as a diffusion model wants them: of mean 0 and variance 1.

    z = (E(x) - shift) scale,    scale^-2 = mean over all entries of (E(x) - shift)^2,    x = D(z / scale + shift)

with the mean of each channel for the shift. Source: Rombach et al. 2022, arXiv:2112.10752, appendix G ("rescaling");
deviation: the paper shifts nothing, and measures the scale on the first batch.
"""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import SpatialAutoencoderConfig
from artifex.generative_models.core.models import map_examples
from artifex.generative_models.core.protocols import SpatialAutoencoder

_CHUNK_SIZE = 128


class LatentSpace(eqx.Module):
    """An autoencoder, and the shift and scale of its latents; these are NaN where they have not been measured.

    Attributes:
        autoencoder: a `SpatialAutoencoder`.
        shift: mean of each channel of the grid, shape `(channels, 1, 1)`.
        scale: one over the standard deviation about it, over all entries.
    """

    autoencoder: Any
    shift: Float[Array, "channels 1 1"]
    scale: Float[Array, ""]

    def encode(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, "channels h w"]:
        """Latents of one example: a posterior sample with a key, the posterior's centre without."""
        grid = self.autoencoder._encode_grid_one(x, self._its(condition), key=key)
        return (grid - self.shift) * self.scale

    def decode(self, z: Float[Array, "channels h w"], condition: Array | None) -> Array:
        """Mean of the examples that latents stand for."""
        return self.autoencoder._decode_grid_one(z / self.scale + self.shift, self._its(condition))

    def _its(self, condition: Array | None) -> Array | None:
        """The autoencoder's condition."""
        return condition if self.autoencoder.config.condition_size > 0 else None


def unmeasured(autoencoder: Any, config: SpatialAutoencoderConfig) -> LatentSpace:
    """The latents of an autoencoder that is not trained yet.

    Raises:
        TypeError: the model has no grid of latents.
    """
    if not isinstance(autoencoder, SpatialAutoencoder):
        raise TypeError(
            f"the autoencoder must be a SpatialAutoencoder; got {type(autoencoder).__name__}, which does not say how "
            "to encode and decode grids"
        )
    return LatentSpace(autoencoder, jnp.full((config.latent_shape[0], 1, 1), jnp.nan), jnp.full((), jnp.nan))


def measured(autoencoder: Any, x: Array, condition: Array | None, *, key: Key[Array, ""]) -> LatentSpace:
    """The latents of a trained autoencoder, with shift and scale from posterior samples of some examples.

    Args:
        autoencoder: the trained model.
        x: batch of examples.
        condition: their conditions.
        key: randomness of the samples.

    Raises:
        ValueError: all latents are equal, or some are not finite.
    """
    takes_condition = autoencoder.config.condition_size > 0
    size = min(_CHUNK_SIZE, len(x))
    parts = []
    for index in range(math.ceil(len(x) / size)):
        rows = slice(max(0, min(index * size, len(x) - size)), min((index + 1) * size, len(x)))
        part = map_examples(
            _grid_one,
            autoencoder,
            x[rows],
            condition[rows] if takes_condition and condition is not None else None,
            jax.random.fold_in(key, index),
        )
        parts.append(part[index * size - rows.start :])
    grids = jnp.concatenate(parts)
    shift = jnp.mean(grids, axis=(0, 2, 3), keepdims=True)[0]
    deviation = float(jnp.sqrt(jnp.mean((grids - shift[None]) ** 2)))
    if not math.isfinite(deviation) or deviation == 0:
        raise ValueError(
            f"the latents of the examples must be finite and differ; their standard deviation is {deviation}. Train "
            "the autoencoder first, and give examples of its training data"
        )
    return LatentSpace(autoencoder, shift, jnp.asarray(1 / deviation, jnp.float32))


def _grid_one(
    autoencoder: Any, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
) -> Float[Array, "channels h w"]:
    return autoencoder._encode_grid_one(x, condition, key=key)
