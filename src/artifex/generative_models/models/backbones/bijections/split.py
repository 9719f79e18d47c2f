"""The split between two scales."""

import math

import equinox as eqx
import jax.numpy as jnp

from artifex.generative_models.models.backbones.bijections.base import (
    AbstractBijection,
    Condition,
    Example,
    LogDet,
)
from artifex.generative_models.models.backbones.bijections.squeeze import check_image_shape


class Split(AbstractBijection):
    """y = (a, f(b)): the first half of a vector of latents is half of the channels, the second half goes on.

    From data to latent, the first half of the channels leaves and f, the coarser scales, takes the other half; so
    the latents of all scales are one vector, from fine to coarse. Source: Dinh et al. 2017 (RealNVP),
    arXiv:1605.08803, section 3.6, equations 14 to 16.

    Attributes:
        rest: f.
    """

    rest: AbstractBijection
    event_shape: tuple[int, ...] = eqx.field(static=True)

    def __init__(self, rest: AbstractBijection):
        """Split off as many channels as `rest`, from vectors to images, returns.

        Raises:
            ValueError: `rest` takes no vectors or returns no images.
        """
        check_image_shape("Split's `rest`", rest.out_shape)
        if len(rest.event_shape) != 1:
            raise ValueError(
                f"`rest` must take vectors of latents, so it begins with `reshape`; it takes {rest.event_shape}"
            )
        self.rest = rest
        self.event_shape = (2 * math.prod(rest.event_shape),)

    @property
    def out_shape(self) -> tuple[int, ...]:
        """Twice the channels of `rest`."""
        channels, *size = self.rest.out_shape
        return (2 * channels, *size)

    @property
    def condition_size(self) -> int:
        """That of `rest`."""
        return self.rest.condition_size

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        leaving, going_on = jnp.split(x, 2)
        y, log_det = self.rest.forward_and_log_det(going_on, condition)
        return jnp.concatenate([leaving.reshape(self.rest.out_shape), y]), log_det

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        leaving, going_on = jnp.split(y, 2)
        x, log_det = self.rest.inverse_and_log_det(going_on, condition)
        return jnp.concatenate([leaving.ravel(), x]), log_det
