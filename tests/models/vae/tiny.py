"""A VAE small enough to compile quickly, and data for it."""

import jax
import numpy as np

from artifex.generative_models.core.configuration import MLPDecoderConfig, MLPEncoderConfig, VAEConfig
from artifex.generative_models.factory import create_model

EVENT_SHAPE = (1, 2, 3)


def tiny_config(**changes):
    """A config with two latents and one hidden layer."""
    fields = {
        "event_shape": EVENT_SHAPE,
        "latent_size": 2,
        "encoder": MLPEncoderConfig(hidden_sizes=(8,)),
        "decoder": MLPDecoderConfig(hidden_sizes=(8,)),
    }
    return VAEConfig(**{**fields, **changes})


def tiny_model(seed=0, **changes):
    """The model of `tiny_config`."""
    return create_model(tiny_config(**changes), key=jax.random.key(seed))


def binary_batch(num=6, seed=0):
    """Random zeros and ones."""
    return np.random.default_rng(seed).integers(0, 2, (num, *EVENT_SHAPE)).astype(np.float32)
