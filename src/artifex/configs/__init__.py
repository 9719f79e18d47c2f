"""Presets: YAML files of experiments, shipped with the package."""

from pathlib import Path

from artifex.utils.messages import unknown_name

_FOLDER = Path(__file__).parent


def preset_names() -> list[str]:
    """Names of all presets, sorted."""
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def preset_path(name: str) -> Path:
    """File of the preset `name`.

    Raises:
        LookupError: there is no such preset; the message holds the nearest name.
    """
    path = _FOLDER / f"{name}.yaml"
    if name not in preset_names():
        raise LookupError(unknown_name("preset", name, preset_names()))
    return path
