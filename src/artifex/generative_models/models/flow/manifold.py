"""Normalizing flows on the torus and on the sphere, with densities with respect to angles and to the area.

    x = f(z; c),   z uniform,   log p(x | c) = -log(volume) + log |det dz/dx|

with the determinant that of the map between tangent spaces. Source: Rezende et al. 2020, arXiv:2002.02428.
"""

import abc
from functools import singledispatch
from typing import Any, ClassVar

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import (
    BijectionConfig,
    ChainConfig,
    CircularSplineConfig,
    CouplingLayerConfig,
    HouseholderConfig,
    InverseConfig,
    ManifoldFlowConfig,
    MaskedAutoregressiveConfig,
    ReverseConfig,
    ScannedConfig,
    SphereFlowConfig,
    SphereSplineConfig,
    TorusFlowConfig,
)
from artifex.generative_models.core.examples import check_support, outside_error
from artifex.generative_models.core.models import mean_loss
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.models.backbones import condition_vector
from artifex.generative_models.models.backbones.bijections import AbstractBijection, make_bijection
from artifex.generative_models.models.backbones.bijections.transformers import wrapped
from artifex.generative_models.models.backbones.interpolation import spherical_interpolation
from artifex.generative_models.models.flow.base import AbstractFlow, sample_latent
from artifex.generative_models.models.flow.latent import latent_density
from artifex.generative_models.models.flow.layers import flow_layers

_TOLERANCE = 1e-3  # of the length of a unit vector


class AbstractManifold(eqx.Module):
    """What a flow has to know of the manifold."""

    @abc.abstractmethod
    def distance(self, x: Array) -> Float[Array, ""]:
        """How far a vector is from the manifold."""

    @abc.abstractmethod
    def between(self, start: Array, end: Array, weight: Float[Array, ""]) -> Array:
        """The point at `weight` in [0, 1] on the shortest way between two points."""


class Torus(AbstractManifold):
    """Angles, which all numbers are, modulo 2 pi."""

    def distance(self, x: Array) -> Float[Array, ""]:
        """None."""
        return jnp.zeros((), x.dtype)

    def between(self, start: Array, end: Array, weight: Float[Array, ""]) -> Array:
        """Angle by angle the shorter way round."""
        return wrapped(start + weight * wrapped(end - start))


class Sphere(AbstractManifold):
    """Unit vectors."""

    def distance(self, x: Array) -> Float[Array, ""]:
        """Of the length from 1."""
        return jnp.abs(jnp.linalg.norm(x) - 1.0)

    def between(self, start: Array, end: Array, weight: Float[Array, ""]) -> Array:
        """Along the great circle."""
        return spherical_interpolation(start, end, weight)


@singledispatch
def manifold_of(config: ManifoldFlowConfig) -> AbstractManifold:
    """The manifold of a flow."""
    raise LookupError(f"no manifold is registered for {type(config).__name__}; use @manifold_of.register")


@manifold_of.register
def _(config: TorusFlowConfig) -> AbstractManifold:
    return Torus()


@manifold_of.register
def _(config: SphereFlowConfig) -> AbstractManifold:
    return Sphere()


@check_support.register
def _(config: SphereFlowConfig, x: Any) -> None:
    lengths = np.linalg.norm(np.asarray(x, np.float64).reshape(len(x), -1), axis=1)
    distances = np.abs(lengths - 1.0)
    if np.any(distances > _TOLERANCE):
        raise outside_error(
            distances,
            _TOLERANCE,
            f"`x` must hold unit vectors; got lengths from {lengths.min():g} to {lengths.max():g}",
            "Divide each vector by its length.",
        )


@flow_layers.register
def _(config: TorusFlowConfig) -> BijectionConfig:
    spline = CircularSplineConfig(num_bins=config.num_bins)
    sizes: dict[str, Any] = {
        "transformer": spline,
        "hidden_size": config.hidden_size,
        "num_layers": config.num_hidden_layers,
        "activation": config.activation,
    }
    layer = CouplingLayerConfig(**sizes)
    if config.is_autoregressive:
        layer = InverseConfig(layer=MaskedAutoregressiveConfig(**sizes))
    return ScannedConfig(layer=ChainConfig(layers=(layer, ReverseConfig())), num_layers=config.num_layers)


@flow_layers.register
def _(config: SphereFlowConfig) -> BijectionConfig:
    spline = SphereSplineConfig(
        num_bins=config.num_bins,
        hidden_size=config.hidden_size,
        num_layers=config.num_hidden_layers,
        activation=config.activation,
    )
    rotation = HouseholderConfig(num_reflections=2)
    return ScannedConfig(layer=ChainConfig(layers=(spline, rotation)), num_layers=config.num_layers)


@register_model(TorusFlowConfig)
@register_model(SphereFlowConfig)
class ManifoldFlow(AbstractFlow):
    """A bijection of the torus or of the sphere, with exact densities.

    Examples on the torus are angles in radians, of which those modulo 2 pi are the same, samples in [-pi, pi). Examples
    on the sphere are unit vectors; vectors of another length have the density 0. Latents are points of the same kind.

    >>> import jax
    >>> from artifex.generative_models.factory import create_model
    >>> flow = create_model(SphereFlowConfig(num_layers=2), key=jax.random.key(0))
    >>> x, log_prob = flow.sample_and_log_prob(5, key=jax.random.key(1))
    >>> bool(jnp.allclose(jnp.linalg.norm(x, axis=1), 1.0)), bool(jnp.allclose(flow.log_prob(x), log_prob, atol=1e-3))
    (True, True)
    """

    log_prob_kind: ClassVar[str] = "exact"

    config: ManifoldFlowConfig = eqx.field(static=True)
    bijection: AbstractBijection

    def __init__(self, config: ManifoldFlowConfig, *, key: Key[Array, ""]):
        """Random weights.

        Args:
            config: manifold and layers.
            key: randomness of the weights.
        """
        self.config = config
        self.bijection = make_bijection(
            flow_layers(config), (config.event_size,), condition_size=config.condition_size, key=key
        )

    # One example

    def _log_prob_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, ""]:
        x = x.ravel()
        z, log_det = self.bijection.inverse_and_log_det(x, condition_vector(self.config, condition))
        density = latent_density(self.config.latent, self.config.event_size)
        is_there = manifold_of(self.config).distance(x) <= _TOLERANCE
        return jnp.where(is_there, density.log_prob(z) + log_det, -jnp.inf)

    def _loss_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        log_prob = self._log_prob_one(x, condition, key=None)
        return -log_prob, {"log_prob": log_prob}

    def _loss_batch(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        return mean_loss(self._loss_one, x, condition, key=key)

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        return self._decode_one(sample_latent(self.config, key=key)[0], condition)

    def _sample_and_log_prob_one(
        self, condition: Array | None, temperature: Float[Array, ""], *, key: Key[Array, ""]
    ) -> tuple[Array, Float[Array, ""]]:
        z, latent_log_prob = sample_latent(self.config, temperature, key=key)
        x, log_det = self.bijection.forward_and_log_det(z, condition_vector(self.config, condition))
        return x.reshape(self.config.event_shape), latent_log_prob - log_det

    def _encode_one(self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None) -> Array:
        return self.bijection.inverse(x.ravel(), condition_vector(self.config, condition))

    def _decode_one(self, z: Array, condition: Array | None) -> Array:
        x = self.bijection.forward(z, condition_vector(self.config, condition))
        return x.reshape(self.config.event_shape)

    def _interpolate_one(
        self, start: Array, end: Array, weight: Float[Array, ""], condition: Array | None
    ) -> Array:
        z_start, z_end = (self._encode_one(x, condition, key=None) for x in (start, end))
        return self._decode_one(manifold_of(self.config).between(z_start, z_end, weight), condition)
