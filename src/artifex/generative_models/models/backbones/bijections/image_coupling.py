"""Coupling layers of images.

Source: Dinh et al. 2017 (RealNVP), arXiv:1605.08803, section 3.4; with convolutions that are zero at first Kingma &
Dhariwal 2018 (Glow), arXiv:1807.03039, section 3.3.
"""

import abc
from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import ImageCouplingConfig
from artifex.generative_models.models.backbones.bijections.base import (
    AbstractSameShapeBijection,
    Condition,
    Example,
    LogDet,
    log_det_sum,
)
from artifex.generative_models.models.backbones.bijections.image_conditioner import ConvConditioner
from artifex.generative_models.models.backbones.bijections.squeeze import check_image_shape
from artifex.generative_models.models.backbones.bijections.transformers import (
    AbstractTransformer,
    make_transformer,
)

Image = Float[Array, "channels height width"]
# Of numbers and their parameters: their images, and the logarithms of the derivatives.
ScalarMap = Callable[[Array, Array], tuple[Array, Array]]


class AbstractImageCoupling(AbstractSameShapeBijection):
    """Some entries of an image are mapped, y_i = f(x_i; theta_i), with theta convolutions of the others.

    Attributes:
        conditioner: the convolutions; its output is zero at first.
        transformer: f.
        mask: which entries are mapped, as in `ImageCouplingConfig`.
    """

    conditioner: ConvConditioner
    transformer: AbstractTransformer
    mask: str = eqx.field(static=True)
    event_shape: tuple[int, ...] = eqx.field(static=True)
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: ImageCouplingConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int = 0,
        key: Key[Array, ""],
    ):
        """Random weights.

        Args:
            config: mask, map and sizes.
            event_shape: (channels, height, width).
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the weights.

        Raises:
            ValueError: examples are not images, or too small for the mask to map some entries and keep others.
        """
        check_image_shape(type(self).__name__, event_shape)
        self.mask = config.mask
        self.event_shape = event_shape
        self.transformer = make_transformer(config.transformer)
        self.condition_size = condition_size if config.num_blocks else 0
        num_seen, num_mapped = self._num_channels()
        self.conditioner = ConvConditioner(
            config,
            num_seen,
            num_mapped * self.transformer.num_parameters,
            (event_shape[1], event_shape[2]),
            condition_size=self.condition_size,
            key=key,
        )

    @abc.abstractmethod
    def _num_channels(self) -> tuple[int, int]:
        """Channels that the convolutions see, and channels with entries that are mapped."""

    @abc.abstractmethod
    def _map(self, x: Example, condition: Condition | None, scalar_map: ScalarMap) -> tuple[Example, LogDet]:
        """The image with `scalar_map` of the entries under the mask, and the sum of the log-derivatives."""

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return self._map(x, condition, self.transformer.forward_and_log_derivative)

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return self._map(y, condition, self.transformer.inverse_and_log_derivative)

    def _map_entries(
        self,
        x: Image,
        seen: Float[Array, "seen height width"],
        condition: Condition | None,
        scalar_map: ScalarMap,
    ) -> tuple[Image, Image]:
        """Each entry of `x` by its own parameters, and the log-derivatives."""
        parameters = self.conditioner(seen, condition).reshape(self.transformer.num_parameters, *x.shape)
        y, log_derivatives = scalar_map(x, parameters)
        return y.astype(x.dtype), log_derivatives


class ChannelCoupling(AbstractImageCoupling):
    """The first or the last half of the channels is mapped; of an odd number, the first half is the smaller one."""

    def _num_channels(self) -> tuple[int, int]:
        channels = self.event_shape[0]
        if channels < 2:
            raise ValueError(
                f"a mask must map some channels and keep others; {self.mask!r} halves of 1 channel do not. Squeeze "
                "the image first, or take a checkerboard: `even` or `odd`."
            )
        first = channels // 2
        return (channels - first, first) if self.mask == "first" else (first, channels - first)

    def _map(self, x: Example, condition: Condition | None, scalar_map: ScalarMap) -> tuple[Example, LogDet]:
        first, last = jnp.split(x, [len(x) // 2])
        if self.mask == "first":
            first, log_derivatives = self._map_entries(first, last, condition, scalar_map)
        else:
            last, log_derivatives = self._map_entries(last, first, condition, scalar_map)
        return jnp.concatenate([first, last]), log_det_sum(log_derivatives)


class CheckerboardCoupling(AbstractImageCoupling):
    """The pixels are mapped whose row and column have an even (or odd) sum; the convolutions see 0 in their place."""

    def _num_channels(self) -> tuple[int, int]:
        channels, *size = self.event_shape
        if size == [1, 1]:
            raise ValueError(
                "a checkerboard of one pixel maps all or nothing: take halves of the channels, `first` or `last`"
            )
        return channels, channels

    def _map(self, x: Example, condition: Condition | None, scalar_map: ScalarMap) -> tuple[Example, LogDet]:
        _, rows, columns = np.indices(self.event_shape)
        is_mapped = (rows + columns) % 2 == (0 if self.mask == "even" else 1)
        seen = jnp.where(is_mapped, 0.0, x)
        mapped, log_derivatives = self._map_entries(jnp.where(is_mapped, x, 0.0), seen, condition, scalar_map)
        return jnp.where(is_mapped, mapped, x), log_det_sum(jnp.where(is_mapped, log_derivatives, 0.0))
