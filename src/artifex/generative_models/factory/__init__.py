"""Configs to models."""

from artifex.generative_models.factory.create import create_model, register_model
from artifex.generative_models.factory.files import ModelFileError, load_model, save_model
