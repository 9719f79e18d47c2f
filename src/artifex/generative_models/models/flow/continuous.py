"""The continuous normalizing flow: FFJORD, and regularised (RNODE).

    dx/dt = v(x, t; c),   z = x(1) ~ p(z),   log p(x(0) | c) = log p(z) + integral of div v dt over [0, 1]

trained by maximum likelihood, plus weights times

    kinetic    integral of |v|^2 dt
    jacobian   integral of |dv/dx|_F^2 dt,   estimated by the directions of the divergence

along the way of each example, which make ways straight and so take few steps.

Sources: Chen et al. 2018, arXiv:1806.07366; Grathwohl et al. 2019, arXiv:1810.01367; Finlay et al. 2020,
arXiv:2002.02798, equation 10. There the log-likelihood and the energies are divided by the number of entries; here
neither is, so that the weights mean the same.
"""

from typing import Literal

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.configuration import CNFConfig
from artifex.generative_models.core.models import mean_loss
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.core.sampling import Probes, Transported, make_probes
from artifex.generative_models.models.backbones import condition_vector
from artifex.generative_models.models.backbones.bijections import Continuous
from artifex.generative_models.models.backbones.interpolation import spherical_interpolation
from artifex.generative_models.models.flow.base import AbstractFlow, sample_latent
from artifex.generative_models.models.flow.latent import latent_density


@register_model(CNFConfig)
class ContinuousFlow(AbstractFlow):
    """A velocity that carries examples to latents and back.

    `log_prob` is exact, up to the error of the solver, for examples of at most `config.max_exact_size` entries, and for
    larger ones an estimate without bias, which needs a key.

    >>> from artifex.generative_models.factory import create_model
    >>> flow = create_model(CNFConfig(event_shape=(2,)), key=jax.random.key(0))
    >>> x, log_prob = flow.sample_and_log_prob(5, key=jax.random.key(1))
    >>> bool(jnp.allclose(flow.log_prob(x), log_prob, atol=1e-3))
    True
    """

    config: CNFConfig = eqx.field(static=True)
    bijection: Continuous

    def __init__(self, config: CNFConfig, *, key: Key[Array, ""]):
        """Random weights.

        Args:
            config: equation, divergence and density of the latents.
            key: randomness of the weights.
        """
        self.config = config
        self.bijection = Continuous(
            config.bijection, config.event_shape, condition_size=config.condition_size, key=key
        )

    # A property where the base has a class variable, because it depends on the config.
    @property
    def log_prob_kind(self) -> Literal["exact", "estimate"]:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether the divergence is exact."""
        return "exact" if self.config.event_size <= self.config.max_exact_size else "estimate"

    # One example

    def _probes(self, key: Key[Array, ""] | None) -> Probes:
        config = self.config
        return make_probes(
            config.event_shape,
            max_exact_size=config.max_exact_size,
            num_probes=config.num_probes,
            noise=config.noise,
            key=key,
        )

    def _latent_log_prob(self, end: Transported) -> Float[Array, ""]:
        density = latent_density(self.config.latent, self.config.event_size)
        return jnp.asarray(density.log_prob(end.y.ravel()))

    def _log_prob_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None
    ) -> Float[Array, ""]:
        vector = condition_vector(self.config, condition)
        end = self.bijection.inverse_with_probes(x, vector, probes=self._probes(key))
        return self._latent_log_prob(end) + end.log_det

    def _loss_one(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""]
    ) -> tuple[Float[Array, ""], dict[str, Float[Array, ""]]]:
        config = self.config
        is_regularised = config.kinetic_weight > 0 or config.jacobian_weight > 0
        end = self.bijection.inverse_with_probes(
            x, condition_vector(config, condition), probes=self._probes(key), has_energies=is_regularised
        )
        latent_log_prob = self._latent_log_prob(end)
        metrics = {"latent_log_prob": latent_log_prob, "log_det": end.log_det}
        loss = -latent_log_prob - end.log_det
        if not is_regularised:
            return loss, metrics
        penalty = config.kinetic_weight * end.kinetic + config.jacobian_weight * end.jacobian
        return loss + penalty, {**metrics, "kinetic": end.kinetic, "jacobian": end.jacobian}

    def _loss_batch(
        self, x: Array, condition: Array | None, *, key: Key[Array, ""], step: Array
    ) -> LossOutput:
        return mean_loss(self._loss_one, x, condition, key=key)

    def _generate_one(self, condition: Array | None, *, key: Key[Array, ""]) -> Array:
        latent_key, _ = jax.random.split(key)
        return self._decode_one(sample_latent(self.config, key=latent_key)[0], condition)

    def _sample_and_log_prob_one(
        self, condition: Array | None, temperature: Float[Array, ""], *, key: Key[Array, ""]
    ) -> tuple[Array, Float[Array, ""]]:
        latent_key, probe_key = jax.random.split(key)
        z, latent_log_prob = sample_latent(self.config, temperature, key=latent_key)
        vector = condition_vector(self.config, condition)
        end = self.bijection.forward_with_probes(
            z.reshape(self.config.event_shape), vector, probes=self._probes(probe_key)
        )
        return end.y, latent_log_prob - end.log_det

    def _encode_one(self, x: Array, condition: Array | None, *, key: Key[Array, ""] | None) -> Array:
        return self.bijection.inverse_alone(x, condition_vector(self.config, condition)).ravel()

    def _decode_one(self, z: Array, condition: Array | None) -> Array:
        vector = condition_vector(self.config, condition)
        return self.bijection.forward_alone(z.reshape(self.config.event_shape), vector)

    def _interpolate_one(
        self, start: Array, end: Array, weight: Float[Array, ""], condition: Array | None
    ) -> Array:
        z_start, z_end = (self._encode_one(x, condition, key=None) for x in (start, end))
        return self._decode_one(spherical_interpolation(z_start, z_end, weight), condition)
