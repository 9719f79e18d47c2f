"""Configs to and from plain mappings, YAML and JSON, and their JSON schema."""

import dataclasses
import io
import json
import os
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydantic
from ruamel.yaml import YAML, YAMLError

from artifex.generative_models.core.configuration.base import (
    Config,
    ConfigError,
    ConfigT,
    config_field_types,
    config_in,
    config_kinds,
    from_mapping,
)


def to_mapping(config: Config) -> dict[str, Any]:
    """Plain dict of numbers, strings, lists and dicts; `kind` comes first.

    `from_mapping(type(config), to_mapping(config)) == config`.
    """
    fields = {field.name: _plain(getattr(config, field.name)) for field in dataclasses.fields(config)}
    return {"kind": config.kind, **fields}


def _plain(value: Any) -> Any:
    if isinstance(value, Config):
        return to_mapping(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def first_difference(ours: Config | Mapping[str, Any], theirs: Config | Mapping[str, Any]) -> str | None:
    """Where two configs, or mappings of plain values, differ first, as a sentence for an error; None: nowhere.

    >>> from artifex.generative_models.core.configuration import ConstantScheduleConfig
    >>> first_difference(ConstantScheduleConfig(value=1.0), ConstantScheduleConfig(value=2.0))
    '`value` is 2.0 there and 1.0 here'
    """
    ours, theirs = (to_mapping(side) if isinstance(side, Config) else side for side in (ours, theirs))
    return _first_difference(ours, theirs, ())


def _first_difference(ours: Any, theirs: Any, path: tuple[str, ...]) -> str | None:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for name in {**ours, **theirs}:
            found = _first_difference(ours.get(name), theirs.get(name), (*path, name))
            if found is not None:
                return found
        return None
    return None if ours == theirs else f"`{'.'.join(path)}` is {theirs!r} there and {ours!r} here"


def to_json(config: Config) -> str:
    """JSON text of a config, indented."""
    return json.dumps(to_mapping(config), indent=2)


def from_json(base: type[ConfigT], text: str) -> ConfigT:
    """Config from JSON text.

    Raises:
        ConfigError: the text is not JSON, or does not describe a `base`.
    """
    try:
        mapping = json.loads(text)
    except json.JSONDecodeError as error:
        raise ConfigError(f"not valid JSON: {error}") from None
    return _from_parsed(base, mapping)


def to_yaml(config: Config) -> str:
    """YAML text of a config; short lists stay on one line."""
    yaml = YAML()
    yaml.default_flow_style = None
    yaml.width = 100
    yaml.representer.add_representer(
        type(None), lambda representer, _: representer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    stream = io.StringIO()
    yaml.dump(to_mapping(config), stream)
    return stream.getvalue()


def from_yaml(base: type[ConfigT], text: str) -> ConfigT:
    """Config from YAML text (YAML 1.2, so `1e-3` is a number and `on` a string).

    Raises:
        ConfigError: the text is not YAML, or does not describe a `base`.
    """
    return _from_parsed(base, _parse_yaml(text))


def load_mapping(path: str | os.PathLike) -> dict[str, Any]:
    """The mapping that a YAML file holds, not yet a config.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: the file is not YAML, or not a mapping.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no config file at {path}{': it is a folder' if path.is_dir() else ''}")
    try:
        return _checked_mapping(_parse_yaml(path.read_text(encoding="utf-8")))
    except UnicodeDecodeError as error:
        raise ConfigError(f"in {path}: not a text file in UTF-8: {error}") from None
    except ConfigError as error:
        raise ConfigError(f"in {path}: {error}") from None


def load_yaml(base: type[ConfigT], path: str | os.PathLike) -> ConfigT:
    """Config from a YAML file; errors name the file.

    Raises:
        FileNotFoundError: there is no such file.
        ConfigError: the file does not describe a `base`.
    """
    try:
        return from_mapping(base, load_mapping(path))
    except ConfigError as error:
        if str(path) in str(error):
            raise
        raise ConfigError(f"in {path}: {error}") from None


def _parse_yaml(text: str) -> Any:
    try:
        return YAML(typ="safe", pure=True).load(text)
    except YAMLError as error:
        raise ConfigError(f"not valid YAML: {error}") from None


def _checked_mapping(parsed: Any) -> dict[str, Any]:
    if not isinstance(parsed, dict):
        got = "nothing" if parsed is None else f"a {type(parsed).__name__}"
        raise ConfigError(f"must be a mapping of field names to values; got {got}")
    return parsed


def _from_parsed(base: type[ConfigT], parsed: Any) -> ConfigT:
    return from_mapping(base, _checked_mapping(parsed))


def json_schema(base: type[Config]) -> dict[str, Any]:
    """JSON schema of a config class; a field that admits several kinds lists them all.

    Args:
        base: a concrete class, or an abstract one (then any of its kinds is valid).
    """
    definitions: dict[str, Any] = {}
    schema = _reference(base, definitions)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "$defs": definitions}


def _reference(base: type[Config], definitions: dict[str, Any]) -> dict[str, Any]:
    options = list(config_kinds(base).values())
    for cls in options:
        if cls.__name__ not in definitions:
            definitions[cls.__name__] = {}  # entered before its fields, which may refer back to it
            definitions[cls.__name__].update(_definition(cls, definitions))
    references = [{"$ref": f"#/$defs/{cls.__name__}"} for cls in options]
    schema = references[0] if len(references) == 1 else {"oneOf": references}
    if base.kind is None:
        schema = {**schema, "required": ["kind"]}
    return schema if base.short_form is None else {"anyOf": [schema, dict(base.short_form)]}


def _definition(cls: type[Config], definitions: dict[str, Any]) -> dict[str, Any]:
    hints = config_field_types(cls)
    properties: dict[str, Any] = {"kind": {"const": cls.kind}}
    required = []  # of `kind` too where several classes are possible, see `_reference`
    for field in dataclasses.fields(cls):
        properties[field.name] = _field_schema(cls, field.name, hints[field.name], definitions)
        default = _default(field)
        if default is dataclasses.MISSING:
            required.append(field.name)
        else:
            properties[field.name]["default"] = _plain(default)
    summary = (cls.__doc__ or "").strip().split("\n")[0]
    return {
        "type": "object",
        "title": cls.__name__,
        "description": summary,
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def _field_schema(cls: type[Config], name: str, hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    nested = config_in(hint)
    if nested is None:
        annotated = typing.get_type_hints(cls, include_extras=True)[name]
        return pydantic.TypeAdapter(annotated).json_schema()
    reference = _reference(nested, definitions)
    if isinstance(hint, type):
        return dict(reference)
    if type(None) in getattr(hint, "__args__", ()):
        return {"anyOf": [reference, {"type": "null"}]}
    return {"type": "array", "items": reference}


def _default(field: dataclasses.Field) -> Any:
    if field.default_factory is not dataclasses.MISSING:
        return field.default_factory()
    return field.default
