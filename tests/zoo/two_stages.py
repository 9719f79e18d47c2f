"""A toy model in two stages: a location is learned first, then what is left for each class."""

import equinox as eqx
import jax
import jax.numpy as jnp
from tests.training.toy import LocationConfig

from artifex.generative_models.core.configuration import ModelConfig, config
from artifex.generative_models.core.models import AbstractLatentModel
from artifex.generative_models.core.pretraining import check_part
from artifex.generative_models.core.protocols import LossOutput
from artifex.generative_models.core.trainable import Buffer
from artifex.generative_models.factory import register_model


@config("toy_two_stages")
class TwoStageConfig(ModelConfig):
    """N(first location + offset of the class, I); the first location belongs to a part without classes."""

    num_classes: int | None = 10

    @property
    def pretrained_part(self):
        return LocationConfig(event_shape=self.event_shape)


@register_model(TwoStageConfig)
class TwoStages(AbstractLatentModel):
    """Squared distance; `measured` is the mean of the examples that came with the part."""

    config: TwoStageConfig = eqx.field(static=True)
    first: Buffer
    measured: Buffer
    offsets: jax.Array

    def __init__(self, config, *, key):
        self.config = config
        self.first = Buffer(jnp.full(config.event_shape, jnp.nan))
        self.measured = Buffer(jnp.full((), jnp.nan))
        self.offsets = jnp.zeros((config.num_classes, *config.event_shape))

    @property
    def has_pretrained(self):
        value = self.measured.value
        return not eqx.is_array(value) or isinstance(value, jax.core.Tracer) or bool(jnp.isfinite(value))

    def with_pretrained(self, part, x, condition=None, *, key):
        check_part(self.config, part)
        return eqx.tree_at(
            lambda m: (m.first.value, m.measured.value), self, (part.location, jnp.mean(x) + len(condition))
        )

    def _generate_one(self, condition, *, key):
        return self.first.value + self.offsets[condition] + jax.random.normal(key, self.config.event_shape)

    def _encode_one(self, x, condition, *, key):
        return x - self.offsets[condition]

    def _decode_one(self, z, condition):
        return z + self.offsets[condition]

    def _interpolate_one(self, start, end, weight, condition):
        return start + weight * (end - start)

    def _loss_batch(self, x, condition, *, key, step):
        loss = jnp.mean((x - self.first.value[None] - self.offsets[condition]) ** 2)
        return LossOutput(total=loss, metrics={"square": loss})
