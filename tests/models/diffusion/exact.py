"""A flow that is exact: two narrow Gaussians in the plane."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from artifex.generative_models.core.configuration import FlowMatchingConfig, TimeLevelConfig
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.backbones.denoisers import AbstractDenoiserNetwork

WEIGHTS, MEANS, SCALE = (0.25, 0.75), ((-1.0, -0.5), (1.0, 0.5)), 0.2


class ExactVelocity(AbstractDenoiserNetwork):
    """Their velocity on the straight path, told the time times 10."""

    def __call__(self, x, level, condition):
        t = level / 10.0
        means = jnp.asarray(MEANS)
        variance = (1.0 - t) ** 2 * SCALE**2 + t**2
        away = x[None] - (1.0 - t) * means
        log_joint = jnp.log(jnp.asarray(WEIGHTS)) - 0.5 * jnp.sum(away**2, axis=1) / variance
        posterior = jax.nn.softmax(log_joint)[:, None]
        data = means + (1.0 - t) * SCALE**2 * away / variance
        return jnp.sum(posterior * (t * away / variance - data), axis=0)


def exact_flow():
    """The model."""
    config = FlowMatchingConfig(event_shape=(2,), level=TimeLevelConfig(), num_sampling_steps=40)
    return eqx.tree_at(lambda m: m.network, create_model(config, key=jax.random.key(0)), ExactVelocity())


def two_gaussians(num=4096):
    """Examples."""
    rng = np.random.default_rng(0)
    part = rng.choice(2, size=num, p=WEIGHTS)
    return (np.asarray(MEANS)[part] + SCALE * rng.normal(size=(num, 2))).astype(np.float32)
