"""Named, ready experiments."""

from artifex.generative_models.zoo.presets import get, load, names
