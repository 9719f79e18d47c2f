"""Splines on the sphere, in cylinder coordinates: height h = x_3 in [-1, 1] and longitude phi = atan2(x_2, x_1).

As the area is dh dphi (Archimedes), the logarithm of the change of area of

    h' = f(h),   phi' = g(phi; theta(h')),

with a spline f of the interval and a circular spline g, is the sum of those of their derivatives. Towards the poles,
theta is multiplied by 1 - h'^2, which makes g the identity there, so that densities are continuous.

Source: Rezende et al. 2020, arXiv:2002.02428, section 2.3, in two dimensions. Deviations: the factor of theta; and the
spline of the height may be one of a condition.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import (
    CircularSplineConfig,
    IntervalSplineConfig,
    SphereSplineConfig,
)
from artifex.generative_models.models.backbones.bijections.base import (
    AbstractBijection,
    AbstractSameShapeBijection,
    Condition,
    Example,
    LogDet,
)
from artifex.generative_models.models.backbones.bijections.make import make_bijection
from artifex.generative_models.models.backbones.bijections.parameters import ConditionalVector
from artifex.generative_models.models.backbones.bijections.transformers import (
    CircularSpline,
    IntervalSpline,
)
from artifex.generative_models.models.backbones.layers import uniform_linear
from artifex.generative_models.models.backbones.mlp import MLP

Scalar = Float[Array, ""]


class SphereSpline(AbstractSameShapeBijection):
    """From unit vectors to unit vectors; log-determinants are those of areas.

    Attributes:
        height_parameters: of the spline of the height, which a condition shifts.
        conditioner: gives those of the spline of the longitude from the height.
    """

    height_parameters: ConditionalVector
    conditioner: MLP
    height: IntervalSpline
    longitude: CircularSpline
    condition_size: int = eqx.field(static=True)

    def __init__(
        self,
        config: SphereSplineConfig,
        event_shape: tuple[int, ...],
        *,
        condition_size: int = 0,
        key: Key[Array, ""],
    ):
        """Near the identity.

        Args:
            config: sizes.
            event_shape: (3,).
            condition_size: length of the condition vector; 0: unconditional.
            key: randomness of the weights.

        Raises:
            ValueError: another shape.
        """
        if event_shape != (3,):
            raise ValueError(f"SphereSpline maps unit vectors of shape (3,); got {event_shape}")
        height_key, network_key = jax.random.split(key)
        self.height = IntervalSpline(IntervalSplineConfig(num_bins=config.num_bins))
        self.longitude = CircularSpline(CircularSplineConfig(num_bins=config.num_bins))
        self.height_parameters = ConditionalVector(
            self.height.num_parameters, condition_size=condition_size, scale=0.1, key=height_key
        )
        self.conditioner = MLP(
            1 + condition_size,
            self.longitude.num_parameters,
            hidden_sizes=(config.hidden_size,) * config.num_layers,
            activation=config.activation,
            out_scale=0.1,
            make_layer=uniform_linear,
            key=network_key,
        )
        self.condition_size = condition_size

    @property
    def event_shape(self) -> tuple[int, ...]:
        """Vectors in three dimensions."""
        return (3,)

    def _forward_and_log_det(self, x: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        height, longitude = cylinder_coordinates(x)
        parameters = self.height_parameters(condition).astype(x.dtype)
        height, of_height = self.height.forward_and_log_derivative(height, parameters)
        parameters = self._longitude_parameters(height, condition)
        longitude, of_longitude = self.longitude.forward_and_log_derivative(longitude, parameters)
        return from_cylinder(height, longitude), of_height + of_longitude

    def _inverse_and_log_det(self, y: Example, condition: Condition | None) -> tuple[Example, LogDet]:
        height, longitude = cylinder_coordinates(y)
        parameters = self._longitude_parameters(height, condition)
        longitude, of_longitude = self.longitude.inverse_and_log_derivative(longitude, parameters)
        parameters = self.height_parameters(condition).astype(y.dtype)
        height, of_height = self.height.inverse_and_log_derivative(height, parameters)
        return from_cylinder(height, longitude), of_height + of_longitude

    def _longitude_parameters(self, height: Scalar, condition: Condition | None) -> Float[Array, " num"]:
        inputs = height[None]
        if condition is not None:
            inputs = jnp.concatenate([inputs, condition.astype(inputs.dtype)])
        return (1.0 - height) * (1.0 + height) * self.conditioner(inputs)


def cylinder_coordinates(x: Float[Array, "3"]) -> tuple[Scalar, Scalar]:
    """Height in [-1, 1] and longitude in [-pi, pi] of a unit vector; at the poles the longitude is 0."""
    is_pole = x[0] ** 2 + x[1] ** 2 == 0
    longitude = jnp.arctan2(jnp.where(is_pole, 0.0, x[1]), jnp.where(is_pole, 1.0, x[0]))
    return jnp.clip(x[2], -1.0, 1.0), longitude


def from_cylinder(height: Scalar, longitude: Scalar) -> Float[Array, "3"]:
    """The unit vector of a height and a longitude."""
    square = (1.0 - height) * (1.0 + height)
    radius = jnp.sqrt(jnp.maximum(square, jnp.finfo(height.dtype).tiny))
    return jnp.stack([radius * jnp.cos(longitude), radius * jnp.sin(longitude), height])


@make_bijection.register
def _(
    config: SphereSplineConfig, event_shape: tuple[int, ...], *, condition_size: int = 0, key: Key[Array, ""]
) -> AbstractBijection:
    return SphereSpline(config, event_shape, condition_size=condition_size, key=key)
