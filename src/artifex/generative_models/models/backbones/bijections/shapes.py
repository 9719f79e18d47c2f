"""Bijections that move numbers without changing them: other shapes, images as sequences of patches."""

import math

import equinox as eqx
import jax.numpy as jnp

from artifex.generative_models.models.backbones.bijections.base import (
    AbstractBijection,
    Condition,
    Example,
    LogDet,
)
from artifex.generative_models.models.backbones.denoisers.patches import to_patches


class Reshape(AbstractBijection):
    """The same numbers in another shape, row by row.

    >>> Reshape((2, 3)).forward(jnp.arange(6.0).reshape(2, 3)).shape
    (6,)
    """

    event_shape: tuple[int, ...] = eqx.field(static=True)
    out_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...], out_shape: tuple[int, ...] | None = None):
        """From one shape to another; None: to a vector.

        Raises:
            ValueError: they hold different numbers of entries.
        """
        size = math.prod(event_shape)
        out_shape = (size,) if out_shape is None else tuple(out_shape)
        if math.prod(out_shape) != size:
            raise ValueError(
                f"`Reshape` keeps the number of entries; got {event_shape}, of {size}, and {out_shape}, of "
                f"{math.prod(out_shape)}"
            )
        self.event_shape = tuple(event_shape)
        self.out_shape = out_shape

    @property
    def condition_size(self) -> int:
        """It takes none."""
        return 0

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return x.reshape(self.out_shape), jnp.zeros(())

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return y.reshape(self.event_shape), jnp.zeros(())


class PatchesToImage(AbstractBijection):
    """A sequence of square patches, row by row, each as (channels, rows, columns), put together to an image."""

    out_shape: tuple[int, ...] = eqx.field(static=True)
    patch_size: int = eqx.field(static=True)

    def __init__(self, image_shape: tuple[int, ...], patch_size: int):
        """For images of a shape.

        Args:
            image_shape: (channels, height, width).
            patch_size: side of a patch, in pixels.

        Raises:
            ValueError: the shape is not that of an image, or the patches do not fill it.
        """
        if len(image_shape) != 3 or any(side % patch_size for side in image_shape[1:]):
            raise ValueError(
                "images must be (channels, height, width), with sides that the patch size divides; got "
                f"{image_shape} and {patch_size}"
            )
        self.out_shape = tuple(image_shape)
        self.patch_size = patch_size

    @property
    def event_shape(self) -> tuple[int, ...]:
        """(patches, numbers)."""
        channels, height, width = self.out_shape
        return height * width // self.patch_size**2, channels * self.patch_size**2

    @property
    def condition_size(self) -> int:
        """It takes none."""
        return 0

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        channels, height, width = self.out_shape
        size = self.patch_size
        x = x.reshape(height // size, width // size, channels, size, size).transpose(2, 0, 3, 1, 4)
        return x.reshape(self.out_shape), jnp.zeros(())

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return to_patches(y, self.patch_size), jnp.zeros(())
