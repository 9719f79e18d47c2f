"""`create_model`: the one way from a config to a model."""

import dataclasses
import importlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jaxtyping import Array, Key

from artifex.configs import preset_path
from artifex.generative_models.core.configuration import Experiment, ModelConfig, from_mapping, load_mapping
from artifex.generative_models.core.random import check_key
from artifex.generative_models.core.registry import model_builder

_CONFIGS = "artifex.generative_models.core.configuration."
_FAMILIES = "artifex.generative_models.models."


def create_model(config: ModelConfig | Mapping[str, Any] | str | os.PathLike, *, key: Key[Array, ""]) -> Any:
    """Build the model that a config describes, with random parameters.

    Args:
        config: a config; a mapping with its `kind` and fields; a path to a YAML file of a model; or the name of a
            zoo preset, whose model is built.
        key: randomness of the parameters.

    Raises:
        ConfigError: the mapping or file does not describe a model.
        LookupError: no builder is registered for exactly this class of config.
    """
    check_key(key)
    config = _as_model_config(config)
    for part in _model_configs(config):
        _import_family(type(part))
    return model_builder(type(config))(config, key=key)


def _as_model_config(config: Any) -> ModelConfig:
    if isinstance(config, ModelConfig):
        return config
    if isinstance(config, Mapping):
        return from_mapping(ModelConfig, config)
    if isinstance(config, str | os.PathLike):
        is_file = isinstance(config, os.PathLike) or Path(config).suffix in (".yaml", ".yml")
        mapping = load_mapping(config if is_file else preset_path(str(config)))
        # An experiment's file holds the model as one of its parts.
        return from_mapping(ModelConfig, mapping.get("model", mapping))
    if isinstance(config, Experiment):
        raise TypeError("`config` must be a model's config; got an Experiment: give `experiment.model`")
    raise TypeError(
        f"`config` must be a model config, a mapping, a path or a preset's name; got {type(config).__name__}"
    )


def _model_configs(config: ModelConfig) -> Iterator[ModelConfig]:
    """A model's config, and those of models that are its parts, which may belong to other families."""
    yield config
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if isinstance(value, ModelConfig):
            yield from _model_configs(value)


def _import_family(config_class: type[ModelConfig]) -> None:
    """Load the family that builds one of the library's configs.

    The family is the first name below `configuration`: `configuration/vae/gaussian.py` belongs to `models/vae`.
    """
    module = config_class.__module__
    if module.startswith(_CONFIGS):
        importlib.import_module(_FAMILIES + module.removeprefix(_CONFIGS).split(".")[0])
