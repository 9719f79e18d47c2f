"""Coupling layers of images.

Source: Dinh et al. 2017 (RealNVP), arXiv:1605.08803, section 3.4; with convolutions that are zero at first Kingma &
Dhariwal 2018 (Glow), arXiv:1807.03039, section 3.3.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Key

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

# Of a scalar and its parameters: its image, and the logarithm of the derivative.
ScalarMap = Callable[[Array, Array], tuple[Array, Array]]


class ChannelCoupling(AbstractSameShapeBijection):
    """The entries of half of the channels are mapped, y_i = f(x_i; theta_i), with theta convolutions of the others.

    Of an odd number of channels, the first half is the smaller one.

    Attributes:
        conditioner: the convolutions; its output is zero at first.
        transformer: f.
        maps_first: whether the first half is mapped.
    """

    conditioner: ConvConditioner
    transformer: AbstractTransformer
    maps_first: bool = eqx.field(static=True)
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
            config: mask (`first` or `last`), map and sizes.
            event_shape: (channels, height, width).
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the weights.

        Raises:
            ValueError: examples are not images, or have one channel.
        """
        check_image_shape("ChannelCoupling", event_shape)
        channels, *size = event_shape
        if channels < 2:
            raise ValueError(
                f"a mask must map some channels and keep others; {config.mask!r} halves of 1 channel do not. Squeeze "
                "the image first, or take a checkerboard: `even` or `odd`."
            )
        self.maps_first = config.mask == "first"
        self.transformer = make_transformer(config.transformer)
        num_mapped = channels // 2 if self.maps_first else channels - channels // 2
        self.condition_size = condition_size if config.num_blocks else 0
        self.conditioner = ConvConditioner(
            config,
            channels - num_mapped,
            num_mapped * self.transformer.num_parameters,
            (size[0], size[1]),
            condition_size=self.condition_size,
            key=key,
        )
        self.event_shape = event_shape

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return self._map(x, condition, self.transformer.forward_and_log_derivative)

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return self._map(y, condition, self.transformer.inverse_and_log_derivative)

    def _map(self, x: Example, condition: Condition | None, scalar_map: ScalarMap) -> tuple[Example, LogDet]:
        half = len(x) // 2
        mapped, kept = (x[:half], x[half:]) if self.maps_first else (x[half:], x[:half])
        mapped, log_derivatives = _map_entries(scalar_map, mapped, self.conditioner(kept, condition))
        parts = (mapped, kept) if self.maps_first else (kept, mapped)
        return jnp.concatenate(parts), log_det_sum(log_derivatives)


class CheckerboardCoupling(AbstractSameShapeBijection):
    """Every second pixel is mapped, y_i = f(x_i; theta_i), with theta convolutions of the others.

    Attributes:
        conditioner: the convolutions, which see 0 in place of what is mapped; its output is zero at first.
        transformer: f.
        maps_even: whether the pixels are mapped whose row and column have an even sum.
    """

    conditioner: ConvConditioner
    transformer: AbstractTransformer
    maps_even: bool = eqx.field(static=True)
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
            config: mask (`even` or `odd`), map and sizes.
            event_shape: (channels, height, width).
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the weights.

        Raises:
            ValueError: examples are not images, or have one pixel.
        """
        check_image_shape("CheckerboardCoupling", event_shape)
        channels, *size = event_shape
        if size == [1, 1]:
            raise ValueError(
                "a checkerboard of one pixel maps all or nothing: take halves of the channels, `first` or `last`"
            )
        self.maps_even = config.mask == "even"
        self.transformer = make_transformer(config.transformer)
        self.condition_size = condition_size if config.num_blocks else 0
        self.conditioner = ConvConditioner(
            config,
            channels,
            channels * self.transformer.num_parameters,
            (size[0], size[1]),
            condition_size=self.condition_size,
            key=key,
        )
        self.event_shape = event_shape

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return self._map(x, condition, self.transformer.forward_and_log_derivative)

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        return self._map(y, condition, self.transformer.inverse_and_log_derivative)

    def _map(self, x: Example, condition: Condition | None, scalar_map: ScalarMap) -> tuple[Example, LogDet]:
        is_mapped = jnp.asarray(self._mask())
        parameters = self.conditioner(jnp.where(is_mapped, 0.0, x), condition)
        mapped, log_derivatives = _map_entries(scalar_map, jnp.where(is_mapped, x, 0.0), parameters)
        return jnp.where(is_mapped, mapped, x), log_det_sum(jnp.where(is_mapped, log_derivatives, 0.0))

    def _mask(self) -> Bool[np.ndarray, "channels height width"]:
        _, rows, columns = np.indices(self.event_shape)
        return (rows + columns) % 2 == (0 if self.maps_even else 1)


def _map_entries(
    scalar_map: ScalarMap, x: Float[Array, "c h w"], parameters: Float[Array, "parameters_c h w"]
) -> tuple[Float[Array, "c h w"], Float[Array, "c h w"]]:
    """Each entry by its own parameters, whose numbers stand `c` channels apart."""
    y, log_derivatives = jax.vmap(scalar_map, in_axes=(0, 1))(x.ravel(), parameters.reshape(-1, x.size))
    return y.reshape(x.shape).astype(x.dtype), log_derivatives.reshape(x.shape)
