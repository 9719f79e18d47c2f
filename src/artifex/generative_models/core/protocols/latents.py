"""What a model of latents asks of the autoencoder that they belong to, as a structural type."""

from typing import Any, Protocol, runtime_checkable

from jaxtyping import Array, Float, Key


@runtime_checkable
class SpatialAutoencoder(Protocol):
    """Maps one image to a grid of real vectors of shape `config.latent_shape`, and back; `config` is a
    `SpatialAutoencoderConfig`.
    """

    def _encode_grid_one(self, x: Any, condition: Any, *, key: Key[Array, ""] | None) -> Float[Array, "..."]:
        """The grid of one example: drawn from the posterior with a key, its centre without; where the model has
        discrete codes, the vectors before they are quantized.
        """
        ...

    def _decode_grid_one(self, grid: Float[Array, "..."], condition: Any) -> Float[Array, "..."]:
        """Mean of the examples that a grid stands for; where the model has discrete codes, by the nearest ones."""
        ...
