"""Experiments by name, and from files."""

import os
from pathlib import Path

from artifex.configs import preset_names, preset_path
from artifex.generative_models.core.configuration import Experiment, load_yaml


def names() -> list[str]:
    """Names of all presets, sorted."""
    return preset_names()


def get(name: str) -> Experiment:
    """The preset `name`.

    >>> get("vae_digits").data.dataset.kind
    'digits'

    Raises:
        LookupError: there is no such preset; the message holds the nearest name.
    """
    return load_yaml(Experiment, preset_path(name))


def load(name_or_path: str | os.PathLike) -> Experiment:
    """A preset by its name, or an experiment from a YAML file (a path with a folder or the ending `.yaml`).

    Raises:
        LookupError: there is no such preset.
        FileNotFoundError: there is no such file.
        ConfigError: the file does not describe an experiment.
    """
    is_name = isinstance(name_or_path, str) and name_or_path == Path(name_or_path).name
    if is_name and Path(name_or_path).suffix not in (".yaml", ".yml"):
        return get(str(name_or_path))
    return load_yaml(Experiment, Path(name_or_path))
