"""Configs to models."""

from artifex.generative_models.factory.create import create_model, register_model
