"""Configs to models."""

from artifex.generative_models.core.registry import register_model
from artifex.generative_models.factory.create import create_model
from artifex.generative_models.factory.files import ModelFileError, load_model, save_model
