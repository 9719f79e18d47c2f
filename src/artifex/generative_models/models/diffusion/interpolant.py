"""The stochastic interpolant: a model that carries a source to the data.

    training   E[ |v(x_t, t) - (alpha' data + sigma' source)|^2 + |eta_z(x_t, t) - z|^2 ]
    sampling   from a source along the ODE or SDE of `bridges`

A batch is data alone, with a standard normal source, or the mapping {"data": ..., "source": ...}.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import StochasticInterpolantConfig
from artifex.generative_models.core.models import AbstractLatentModel, map_examples
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import example_keys
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.core.sampling.make import make_solver
from artifex.generative_models.models.backbones import condition_vector
from artifex.generative_models.models.backbones.denoisers import AbstractDenoiserNetwork, make_denoiser
from artifex.generative_models.models.backbones.interpolation import spherical_interpolation
from artifex.generative_models.models.diffusion.bridges import Bridge
from artifex.generative_models.models.diffusion.couplings import couple_batch
from artifex.generative_models.models.diffusion.latents import COSTLY_RECONSTRUCTION
from artifex.generative_models.models.diffusion.paths import make_path
from artifex.generative_models.models.diffusion.times import draw_times_batch

_NUM_LEVELS = 1000.0
_PARTS = ("data", "source")


@register_model(StochasticInterpolantConfig)
class StochasticInterpolant(AbstractLatentModel):
    """Networks for the velocity and, where the interpolant has noise of its own, for that noise.

    `transport` carries any source to the data; `generate` carries standard normal noise, as training on data alone
    has it. Latents are sources, to and from which the ODE leads, without noise on the way.

    >>> from artifex.generative_models.factory import create_model
    >>> model = create_model(StochasticInterpolantConfig(event_shape=(2,)), key=jax.random.key(0))
    >>> model.transport(jnp.zeros((3, 2))).shape
    (3, 2)
    """

    costly_metrics: ClassVar[Mapping[str, str]] = MappingProxyType(
        {"reconstruction_mse": COSTLY_RECONSTRUCTION}
    )

    config: StochasticInterpolantConfig = eqx.field(static=True)
    network: AbstractDenoiserNetwork
    noise_network: AbstractDenoiserNetwork | None
    bridge: Bridge

    def __init__(self, config: StochasticInterpolantConfig, *, key: Key[Array, ""]):
        """Random weights.

        Raises:
            ValueError: the path does not end at the source alone.
        """
        velocity_key, noise_key = jax.random.split(key)
        self.config = config

        def network(key: Key[Array, ""]) -> AbstractDenoiserNetwork:
            return make_denoiser(
                config.network, config.event_shape, condition_size=config.condition_size, key=key
            )

        self.network = network(velocity_key)
        self.noise_network = network(noise_key) if config.bridge_scale > 0 else None
        self.bridge = Bridge(make_path(config.path), config.bridge_scale)
        with jax.ensure_compile_time_eval():  # known also where a model is only traced, for its shapes
            path, end = make_path(config.path), jnp.float32(1.0)
            alpha, sigma = float(path.alpha(end)), float(path.sigma(end))
        if abs(alpha) > 1e-3 or abs(sigma - 1.0) > 1e-3:
            raise ValueError(
                "the `path` of an interpolant must end at the source alone, with alpha 0 and sigma 1, as `linear` and "
                f"`trigonometric` do; got alpha {alpha:.3g} and sigma {sigma:.3g}"
            )

    # One example

    def _estimates(self, x: Array, t: Array, condition: Array | None) -> tuple[Array, Array]:
        """The velocity and the noise at x_t."""
        vector = condition_vector(self.config, condition)
        velocity = self.network(x, _NUM_LEVELS * t, vector)
        if self.noise_network is None:
            return velocity, jnp.zeros_like(x)
        return velocity, self.noise_network(x, _NUM_LEVELS * t, vector)

    def _follow(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None, is_backward: bool = False
    ) -> Float[Array, "..."]:
        return self.bridge.follow(
            lambda x, t: self._estimates(x, t, condition),
            x.astype(jnp.float32),
            make_solver(self.config.solver),
            self.config.num_sampling_steps,
            eta=0.0 if key is None else self.config.eta,
            key=key,
            is_backward=is_backward,
        )

    def _loss_one(
        self, data: Array, source: Array, condition: Array | None, t: Array, *, key: Key[Array, ""]
    ) -> dict[str, Array]:
        z = jax.random.normal(key, data.shape)
        velocity, noise = self._estimates(self.bridge.at(data, source, z, t), t, condition)
        velocity_mse = jnp.mean((velocity - self.bridge.velocity(data, source, t)) ** 2)
        if self.noise_network is None:
            return {"loss": velocity_mse, "velocity_mse": velocity_mse}
        noise_mse = jnp.mean((noise - z) ** 2)
        return {"loss": velocity_mse + noise_mse, "velocity_mse": velocity_mse, "noise_mse": noise_mse}

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        source_key, steps_key = jax.random.split(key)
        source = jax.random.normal(source_key, self.config.event_shape)
        return self._follow(source, condition, key=steps_key)

    def _encode_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, "..."]:
        return self._follow(x, condition, key=None, is_backward=True)

    def _decode_one(self, z: Array, condition: Array | None) -> Float[Array, "..."]:
        return self._follow(z, condition, key=None)

    def _interpolate_one(
        self, start: Array, end: Array, weight: Float[Array, ""], condition: Array | None
    ) -> Float[Array, "..."]:
        z_start, z_end = (self._encode_one(x, condition, key=None) for x in (start, end))
        return self._decode_one(spherical_interpolation(z_start, z_end, weight), condition)

    # Batches

    def transport(
        self, source: Arrays, condition: Arrays | None = None, *, key: Key[Array, ""] | None = None
    ) -> Float[Array, "batch ..."]:
        """Data at the other end of the way that begins at each source.

        Args:
            source: batch of sources, shape `(batch, *event_shape)`.
            condition: batch of conditions, for a conditional model.
            key: randomness of the SDE, split by example; None where `eta` is 0.

        Raises:
            ValueError: `eta` is above 0 and there is no key.
        """
        if key is None and self.config.eta > 0:
            raise ValueError("`eta` above 0 draws noise on the way: give `key`")
        return map_examples(_transport_one, self, source, condition, key)

    def _loss_batch(self, x: Any, condition: Array | None, *, key: Key[Array, ""], step: Array) -> LossOutput:
        times_key, source_key, coupling_key, examples_key = jax.random.split(key, 4)
        data, source = self._parts(x, key=source_key)
        t = draw_times_batch(self.config.times, self.bridge.path, len(data), key=times_key)
        source = couple_batch(self.config.coupling, data, source, condition, key=coupling_key)
        keys = example_keys(examples_key, len(data))
        metrics = jax.vmap(lambda x, source, c, t, key: self._loss_one(x, source, c, t, key=key))(
            data, source, condition, t, keys
        )
        metrics = jax.tree.map(jnp.mean, metrics)
        return LossOutput(total=metrics["loss"], metrics=metrics)

    def _parts(self, x: Any, *, key: Key[Array, ""]) -> tuple[Array, Array]:
        """Data and sources of a batch."""
        if not isinstance(x, Mapping):
            keys = example_keys(key, len(x))
            source = jax.vmap(lambda key: jax.random.normal(key, self.config.event_shape))(keys)
            return x.astype(jnp.float32), source
        if set(x) != set(_PARTS):
            raise ValueError(f"`x` must be an array, or a mapping with {_PARTS}; got {sorted(x)}")
        shapes = {name: x[name].shape for name in _PARTS}
        if len(set(shapes.values())) > 1 or x["data"].shape[1:] != self.config.event_shape:
            raise ValueError(
                f"`data` and `source` must have one shape, (batch, {', '.join(map(str, self.config.event_shape))}); "
                f"got {shapes}"
            )
        return x["data"].astype(jnp.float32), x["source"].astype(jnp.float32)


def _transport_one(
    model: StochasticInterpolant, source: Array, condition: Array | None, *, key: Key[Array, ""] | None
) -> Array:
    return model._follow(source, condition, key=key)
