"""A small model with a closed-form loss, a buffer, a condition and randomness, for tests of the training loop."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from artifex.generative_models.core.configuration import ModelConfig, config
from artifex.generative_models.core.models import AbstractGenerativeModel, mean_loss
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.trainable import Buffer
from artifex.generative_models.factory import register_model


@config("toy_location")
class LocationConfig(ModelConfig):
    """N(location, I), fitted by maximum likelihood.

    Attributes:
        noise: standard deviation of noise on the target.
    """

    event_shape: tuple[int, ...] = (3,)
    noise: float = 0.0


@register_model(LocationConfig)
class Location(AbstractGenerativeModel):
    """Loss `0.5 |x + noise - location|^2`; a buffer counts the examples seen."""

    config: LocationConfig = eqx.field(static=True)
    location: jax.Array
    seen: Buffer

    def __init__(self, config, *, key):
        self.config = config
        self.location = jax.random.normal(key, config.event_shape)
        self.seen = Buffer(jnp.zeros(()))

    def _generate_one(self, condition, *, key):
        return self.location + jax.random.normal(key, self.config.event_shape)

    def _loss_batch(self, x, condition, *, key, step):
        output = mean_loss(self._loss_one, x, condition, key=key)
        new = eqx.tree_at(lambda m: m.seen.value, self, self.seen.value + x.shape[0])
        return LossOutput(total=output.total, metrics=output.metrics, model=new)

    def _loss_one(self, x, condition, *, key):
        target = x + self.config.noise * jax.random.normal(key, x.shape)
        loss = 0.5 * jnp.sum((target - self.location.astype(x.dtype)) ** 2)
        return loss, {"half_square": loss}


def toy_data(num: int = 64, size: int = 3) -> np.ndarray:
    """Examples near (1, 2, 3, ...)."""
    return (np.arange(1.0, size + 1) + np.random.default_rng(0).normal(size=(num, size))).astype(np.float32)
