"""Images as sequences of patches, row by row."""

import jax.numpy as jnp
from jaxtyping import Array, Float

from artifex.generative_models.core.configuration import ConfigError, PatchTransformerConfig


def to_patches(x: Float[Array, "channels height width"], size: int) -> Float[Array, "tokens numbers"]:
    """Patches of `size` x `size` pixels, each as (channels, rows, columns)."""
    channels, height, width = x.shape
    x = x.reshape(channels, height // size, size, width // size, size)
    return x.transpose(1, 3, 0, 2, 4).reshape(-1, channels * size * size)


def from_patches(
    h: Float[Array, "tokens numbers"], size: int, event_shape: tuple[int, ...]
) -> Float[Array, "channels height width"]:
    """Patches, each as (rows, columns, channels), at their places in an image as large as one of `event_shape`."""
    _, height, width = event_shape
    h = h.reshape(height // size, width // size, size, size, -1)
    return h.transpose(4, 0, 2, 1, 3).reshape(-1, height, width)


def grid_of(config: PatchTransformerConfig, event_shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of patches.

    Raises:
        ConfigError: the shape is not that of an image, or the patch size does not divide it.
    """
    if len(event_shape) != 3:
        raise ConfigError(
            f"the `{config.kind}` network needs images (channels, height, width); got `event_shape` "
            f"{tuple(event_shape)}. Use the `mlp` network for other shapes, or `unet` for sequences."
        )
    if any(side % config.patch_size for side in event_shape[1:]):
        raise ConfigError(
            f"`patch_size` must divide the sides of `event_shape`; got {config.patch_size} and "
            f"{event_shape[1]}x{event_shape[2]}. Give another patch size, or pad or crop the images."
        )
    return event_shape[1] // config.patch_size, event_shape[2] // config.patch_size


def check_event_shape(x: Array, event_shape: tuple[int, ...]) -> None:
    """Raise unless an example has the shape that a network was built for.

    Raises:
        ValueError: naming both shapes.
    """
    if jnp.shape(x) != event_shape:
        raise ValueError(f"the network takes images of shape {event_shape}; got {jnp.shape(x)}")
