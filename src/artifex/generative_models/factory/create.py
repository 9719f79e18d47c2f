"""`create_model`: the one way from a config to a model, and the registry behind it."""

import importlib
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from jaxtyping import Array, Key

from artifex.configs import preset_path
from artifex.generative_models.core.configuration import ModelConfig, from_mapping, load_mapping
from artifex.generative_models.core.random import check_key
from artifex.utils.messages import unknown_name

BuilderT = TypeVar("BuilderT", bound=Callable[..., Any])

_CONFIGS = "artifex.generative_models.core.configuration."
_FAMILIES = "artifex.generative_models.models."

_BUILDERS: dict[type[ModelConfig], Callable[..., Any]] = {}


def register_model(config_class: type[ModelConfig]) -> Callable[[BuilderT], BuilderT]:
    """Decorator that names the builder of a config class: a model class, or a function.

    The builder is called as `builder(config, key=key)`.

        @register_model(MyConfig)
        class MyModel(AbstractGenerativeModel): ...

    Raises:
        ValueError: another builder is registered for the class already.
    """

    def decorate(builder: BuilderT) -> BuilderT:
        known = _BUILDERS.get(config_class)
        if known is not None and _name(known) != _name(builder):
            raise ValueError(f"{config_class.__name__} is built by {_name(known)} already")
        _BUILDERS[config_class] = builder
        return builder

    return decorate


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
    _import_family(type(config))
    builder = _BUILDERS.get(type(config))
    if builder is None:
        names = [cls.__name__ for cls in _BUILDERS]
        raise LookupError(
            unknown_name("model config", type(config).__name__, names)
            + " Register its builder with @register_model."
        )
    return builder(config, key=key)


def _name(builder: Callable[..., Any]) -> str:
    return f"{builder.__module__}.{builder.__qualname__}"


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
    raise TypeError(
        f"`config` must be a model config, a mapping, a path or a preset's name; got {type(config).__name__}"
    )


def _import_family(config_class: type[ModelConfig]) -> None:
    """Load the family that builds one of the library's configs.

    The family is the first name below `configuration`: `configuration/vae/gaussian.py` belongs to `models/vae`.
    """
    module = config_class.__module__
    if module.startswith(_CONFIGS):
        importlib.import_module(_FAMILIES + module.removeprefix(_CONFIGS).split(".")[0])
