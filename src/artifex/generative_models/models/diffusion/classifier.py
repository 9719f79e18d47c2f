"""A classifier of noisy examples, which guides diffusion models that have not learned with conditions.

    loss = -log p(label | x_t),    x_t = alpha x_0 + sigma noise

Source: Dhariwal & Nichol 2021, arXiv:2105.05233, section 4. Deviations: any denoiser network with a linear map of its
output to the classes, in place of the first half of a UNet; it sees x_t / hypot(alpha, sigma).
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Key

from artifex.generative_models.core.arrays import Arrays
from artifex.generative_models.core.configuration import NoisyClassifierConfig
from artifex.generative_models.core.models import checked_batch
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.random import check_key, example_keys
from artifex.generative_models.core.registry import register_model
from artifex.generative_models.models.backbones.denoisers import AbstractDenoiserNetwork, make_denoiser
from artifex.generative_models.models.backbones.layers import linear
from artifex.generative_models.models.diffusion.levels import network_level
from artifex.generative_models.models.diffusion.paths import AbstractPath, make_path
from artifex.generative_models.models.diffusion.requests import times_for
from artifex.generative_models.models.diffusion.times import draw_times_batch


@register_model(NoisyClassifierConfig)
class NoisyClassifier(eqx.Module):
    """p(label | x_t). It trains by `fit` as models do, and is what `ClassifierGuidance` takes.

    >>> from artifex.generative_models.factory import create_model
    >>> classifier = create_model(NoisyClassifierConfig(event_shape=(2,), num_classes=3), key=jax.random.key(0))
    >>> classifier.logits(jnp.zeros((4, 2)), 0.5).shape
    (4, 3)
    """

    config: NoisyClassifierConfig = eqx.field(static=True)
    network: AbstractDenoiserNetwork
    head: eqx.nn.Linear
    path: AbstractPath

    def __init__(self, config: NoisyClassifierConfig, *, key: Key[Array, ""]):
        """Random weights.

        Args:
            config: the parts.
            key: randomness of the weights.
        """
        network_key, head_key = jax.random.split(key)
        self.config = config
        self.network = make_denoiser(config.network, config.event_shape, condition_size=0, key=network_key)
        self.head = linear(config.event_size, config.condition_size, key=head_key)
        self.path = make_path(config.path)

    def __call__(self, x: Float[Array, "..."], t: Float[Array, ""], label: Array) -> Float[Array, ""]:
        """Log-probability of a label, in nats, for one example x_t."""
        return jax.nn.log_softmax(self._logits_one(x, t))[label]

    def _logits_one(self, x: Array, t: Array) -> Float[Array, " classes"]:
        scale = 1.0 / jnp.hypot(self.path.alpha(t), self.path.sigma(t))
        features = self.network(scale * x, network_level(self.config.level)(self.path, t), None)
        return self.head(features.ravel().astype(jnp.float32))

    def logits(self, x: Arrays, t: Arrays) -> Float[Array, "batch classes"]:
        """Log-probabilities of all classes, up to a constant.

        Args:
            x: batch of noisy examples.
            t: their times, shape `(batch,)`, or one for all.

        Raises:
            ValueError: a shape does not fit, or a time is outside of [0, 1].
        """
        x = jnp.asarray(x)
        if x.shape[1:] != self.config.event_shape:
            raise ValueError(f"`x` must have shape (batch, *{self.config.event_shape}); got {x.shape}")
        return _logits(self, x, times_for(t, len(x)))

    def loss(
        self, x: Arrays, condition: Arrays, *, key: Key[Array, ""], step: int | Array | None = None
    ) -> LossOutput:
        """Cross-entropy of the labels of noisy examples, in nats, and the part that is classified rightly.

        Args:
            x: batch of examples, without noise.
            condition: their labels.
            key: randomness of times and noise.
            step: not used.
        """
        check_key(key)
        x, labels = checked_batch(self.config, x, condition)
        return _loss(self, jnp.asarray(x, jnp.float32), labels, key)


@eqx.filter_jit
def _logits(model: NoisyClassifier, x: Array, t: Array) -> Array:
    return jax.vmap(model._logits_one)(x, t)


@eqx.filter_jit
def _loss(model: NoisyClassifier, x: Array, labels: Any, key: Key[Array, ""]) -> LossOutput:
    times_key, noise_key = jax.random.split(key)
    t = draw_times_batch(model.config.times, model.path, len(x), key=times_key)

    def one(x: Array, t: Array, key: Key[Array, ""]) -> Array:
        noise = jax.random.normal(key, x.shape)
        return model._logits_one(model.path.alpha(t) * x + model.path.sigma(t) * noise, t)

    log_prob = jax.nn.log_softmax(jax.vmap(one)(x, t, example_keys(noise_key, len(x))))
    loss = -jnp.mean(jnp.take_along_axis(log_prob, labels[:, None], axis=1))
    accuracy = jnp.mean(jnp.argmax(log_prob, axis=1) == labels)
    return LossOutput(total=loss, metrics={"loss": loss, "accuracy": accuracy})
