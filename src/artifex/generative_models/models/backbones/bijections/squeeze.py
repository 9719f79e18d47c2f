"""Blocks of pixels as channels, and channels as blocks of pixels."""

import equinox as eqx
import jax.numpy as jnp

from artifex.generative_models.models.backbones.bijections.base import (
    AbstractBijection,
    Condition,
    Example,
    LogDet,
)
from artifex.generative_models.models.backbones.layers import pixel_shuffle, pixel_unshuffle


class AbstractRearrangement(AbstractBijection):
    """A bijection that changes no number and takes no condition."""

    @property
    def condition_size(self) -> int:
        """It takes none."""
        return 0


class Squeeze(AbstractRearrangement):
    """Each block of 2x2 pixels becomes four channels, (C, 2 H, 2 W) to (4 C, H, W).

    Pixel (2h + i, 2w + j) of channel c becomes pixel (h, w) of channel 4 c + 2 i + j. Source: Dinh et al. 2017
    (RealNVP), arXiv:1605.08803, section 3.6, with the order of channels of Glow.
    """

    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...]):
        """Build it.

        Raises:
            ValueError: examples are not images, or height or width is odd.
        """
        check_image_shape("Squeeze", event_shape)
        if event_shape[1] % 2 or event_shape[2] % 2:
            raise ValueError(
                f"`squeeze` needs an even height and width; got {event_shape[1]}x{event_shape[2]}. Pad the images, or "
                "use fewer scales."
            )
        self.event_shape = event_shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        """(4 C, H, W)."""
        channels, height, width = self.event_shape
        return (4 * channels, height // 2, width // 2)

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return pixel_unshuffle(x), jnp.zeros(())

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return pixel_shuffle(y), jnp.zeros(())


class Unsqueeze(AbstractRearrangement):
    """Four channels become a block of 2x2 pixels, (4 C, H, W) to (C, 2 H, 2 W): the inverse of `Squeeze`."""

    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, event_shape: tuple[int, ...]):
        """Build it.

        Raises:
            ValueError: examples are not images, or the number of channels is no multiple of four.
        """
        check_image_shape("Unsqueeze", event_shape)
        if event_shape[0] % 4:
            raise ValueError(f"`unsqueeze` needs a multiple of four channels; got {event_shape[0]}")
        self.event_shape = event_shape

    @property
    def out_shape(self) -> tuple[int, ...]:
        """(C, 2 H, 2 W)."""
        channels, height, width = self.event_shape
        return (channels // 4, 2 * height, 2 * width)

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return pixel_shuffle(x), jnp.zeros(())

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return pixel_unshuffle(y), jnp.zeros(())


def check_image_shape(name: str, event_shape: tuple[int, ...]) -> None:
    """Raise unless examples are images.

    Args:
        name: of the bijection.
        event_shape: shape of one example.

    Raises:
        ValueError: they have other axes than (channels, height, width).
    """
    if len(event_shape) != 3:
        raise ValueError(
            f"{name} maps images, whose `event_shape` is (channels, height, width); got {event_shape}"
        )
