"""Configs: frozen, validated, hashable descriptions of models, data and training.

A config holds numbers, strings and other configs, nothing else. It is a pydantic dataclass, so a wrong value is
an error where it is written; it is hashable, so it can be a static field of a model; and it carries a `kind`, so
that a YAML file can name it.

    @config("my_model")
    class MyConfig(ModelConfig):
        width: PositiveInt = 64
"""

import dataclasses
import typing
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar, dataclass_transform

import pydantic
import pydantic.dataclasses

from artifex.utils.messages import nearest_name, unknown_name


class ConfigError(ValueError):
    """A config that does not describe anything valid.

    Attributes:
        path: where, as field names and list positions from the outermost config inwards.
        reason: what is required, what was got, and the fix.
    """

    def __init__(self, reason: str, path: tuple[str | int, ...] = ()):
        self.reason = reason
        self.path = path
        super().__init__(f"{'.'.join(map(str, path))}: {reason}" if path else reason)

    def within(self, *outer: str | int) -> "ConfigError":
        """The same error, seen from an enclosing config."""
        return ConfigError(self.reason, (*outer, *self.path))


_PYDANTIC_CONFIG = pydantic.ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)
_CLASSES: list[type["Config"]] = []

ConfigT = TypeVar("ConfigT", bound="Config")


@dataclass_transform(frozen_default=True, kw_only_default=True)
def config(kind: str | None = None) -> Callable[[type[ConfigT]], type[ConfigT]]:
    """Class decorator that makes a frozen, validated config.

    Args:
        kind: the tag that names the class in YAML and JSON; None for an abstract config, which only groups
            others and cannot be built.
    """

    def decorate(cls: type[ConfigT]) -> type[ConfigT]:
        validate = pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=_PYDANTIC_CONFIG)
        # It is `cls` itself, which pydantic's type does not say.
        validated: type[ConfigT] = validate(cls)  # pyright: ignore[reportAssignmentType]
        validated.kind = kind
        _report_as_config_errors(validated)
        if kind is not None:
            _register(validated)
        return validated

    return decorate


@pydantic.dataclasses.dataclass(frozen=True, kw_only=True, config=_PYDANTIC_CONFIG)
class Config:
    """Base of all configs."""

    kind: ClassVar[str | None] = None
    short_form: ClassVar[Mapping[str, Any] | None] = None
    """JSON schema of what `coerce` takes, where there is a short form."""

    @classmethod
    def coerce(cls, value: Any) -> Any:
        """A config for a short form of it, such as a number; what has no short form passes unchanged."""
        return value

    def replace(self: ConfigT, **changes: Any) -> ConfigT:
        """A copy with some fields changed, validated again."""
        return dataclasses.replace(self, **changes)


def _register(new: type[Config]) -> None:
    """Enter a class under its kind, which must be its own within the family (its abstract bases)."""
    families = {base for base in new.__mro__ if issubclass(base, Config) and base is not Config} - {new}
    for known in [*_CLASSES]:
        if known.kind != new.kind or not (families & set(known.__mro__)):
            continue
        if (known.__module__, known.__qualname__) != (new.__module__, new.__qualname__):
            raise ValueError(f"config kind {new.kind!r} is taken by {known.__name__}; choose another")
        _CLASSES.remove(known)  # the same class defined again, as a notebook cell does
    _CLASSES.append(new)


def config_kinds(base: type[Config]) -> dict[str, type[Config]]:
    """The concrete classes that are `base` or below it, by kind, sorted. A kind is unique within a family."""
    classes = (cls for cls in _CLASSES if issubclass(cls, base))
    return {str(cls.kind): cls for cls in sorted(classes, key=lambda cls: str(cls.kind))}


def config_field_types(cls: type[Config]) -> dict[str, Any]:
    """Field name to annotated type (without metadata), in order of definition."""
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def config_in(annotation: Any) -> type[Config] | None:
    """The config class that a field's annotation admits, directly, as `X | None`, or as a tuple's item."""
    if isinstance(annotation, type):
        return annotation if issubclass(annotation, Config) else None
    for argument in typing.get_args(annotation):
        if (found := config_in(argument)) is not None:
            return found
    return None


def from_mapping(base: type[ConfigT], mapping: Mapping[str, Any]) -> ConfigT:
    """Build a config from plain values, choosing the class by the `kind` entry.

    Args:
        base: the class wanted, or a class above it.
        mapping: field names to numbers, strings, lists and nested mappings. `kind` may be left out where `base`
            can only be itself.

    Raises:
        ConfigError: with the path of the wrong entry and, for an unknown name, the nearest right one.
    """
    values = dict(mapping)
    kind = values.pop("kind", None)
    options = config_kinds(base)
    if kind is None:
        if base.kind is None:
            raise ConfigError(f"`kind` is required, one of: {', '.join(options)}", ("kind",))
        cls: type = base
    elif not isinstance(kind, str) or kind not in options:
        raise ConfigError(unknown_name(f"kind of {base.__name__}", kind, options), ("kind",))
    else:
        cls = options[kind]
    wrong = next((name for name in values if not isinstance(name, str)), None)
    if wrong is not None:
        raise ConfigError(f"field names are strings; got {wrong!r}")
    return cls(**values)


def as_config(base: type[Config], value: Any) -> Any:
    """`value` as a config where it is a mapping or a short form; anything else passes to validation."""
    value = base.coerce(value)
    return from_mapping(base, value) if isinstance(value, Mapping) else value


def _convert_field(cls: type[Config], annotation: Any, name: str, value: Any) -> Any:
    nested = config_in(annotation)
    if nested is None:
        return value
    try:
        if isinstance(value, list | tuple):
            items = []
            for position, item in enumerate(value):
                try:
                    items.append(as_config(nested, item))
                except ConfigError as error:
                    raise error.within(position) from None
            return tuple(items)
        return as_config(nested, value)
    except ConfigError as error:
        raise error.within(name) from None


def _describe(cls: type[Config], error: Mapping[str, Any]) -> ConfigError:
    location = tuple(part for part in error["loc"] if not str(part).endswith("]"))
    if error["type"] == "unexpected_keyword_argument":
        name = str(error["loc"][-1])
        fields = [field.name for field in dataclasses.fields(cls)]
        nearest = nearest_name(name, fields)
        hint = f"Did you mean {nearest!r}? " if nearest else ""
        return ConfigError(f"no such field of {cls.__name__}. {hint}Fields: {', '.join(fields)}.", location)
    if error["type"] in ("missing", "missing_keyword_only_argument"):
        return ConfigError(f"{cls.__name__} requires this field", location)
    message = error["msg"].removeprefix("Value error, ").removeprefix("Input should be ")
    if error["type"] == "value_error":
        return ConfigError(message, location)
    return ConfigError(f"must be {message}; got {error['input']!r}", location)


def _report_as_config_errors(cls: type) -> None:
    """Make the constructor take nested mappings and report errors with path, requirement and fix."""
    validate = cls.__init__

    def init(self: Any, *positional: Any, **values: Any) -> None:
        if positional:
            raise TypeError(
                f"{type(self).__name__} takes its fields by name; got {positional[0]!r} without one"
            )
        if type(self).kind is None:
            options = ", ".join(c.__name__ for c in config_kinds(type(self)).values())
            raise TypeError(f"{type(self).__name__} is abstract: build one of {options}")
        annotations = config_field_types(type(self))
        converted = {
            name: _convert_field(type(self), annotations.get(name), name, value)
            for name, value in values.items()
        }
        try:
            validate(self, **converted)
        except pydantic.ValidationError as error:
            raise _describe(type(self), error.errors(include_url=False)[0]) from None

    # Its parameters are those of all configs, and so of none.
    cls.__init__ = init  # pyright: ignore[reportAttributeAccessIssue]
