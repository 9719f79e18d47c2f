"""`artifex config`: list, show and validate experiments; JSON schema of configs."""

import json
from collections.abc import Callable

from artifex.cli.messages import UsageError, say
from artifex.configs import preset_names, preset_path
from artifex.generative_models.core.configuration import (
    Config,
    ConfigError,
    Experiment,
    config_kinds,
    json_schema,
    load_yaml,
    to_yaml,
)
from artifex.utils.messages import unknown_name

_HELP = """usage: artifex config COMMAND

commands:
  list            names of all presets, one a line, with a description
  show NAME       a preset as YAML, with every field; to change it: artifex config show NAME > my.yaml
  validate FILE   check a YAML file of an experiment
  schema [NAME]   JSON schema of a config class, such as VAEConfig; without a name, of a whole experiment
"""


def run(arguments: list[str]) -> int:
    """Run `artifex config ...`."""
    if not arguments or arguments[0] in ("-h", "--help") or "--help" in arguments:
        print(_HELP, end="")
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in _COMMANDS:
        raise UsageError(unknown_name("command of `artifex config`", name, _COMMANDS))
    return _COMMANDS[name](rest)


def _list(arguments: list[str]) -> int:
    _check_count("list", arguments, 0, 0)
    names = preset_names()
    width = max(map(len, names), default=0)
    for name in names:
        description = load_yaml(Experiment, preset_path(name)).description
        print(f"{name:<{width}}   {description}".rstrip())
    return 0


def _show(arguments: list[str]) -> int:
    _check_count("show NAME", arguments, 1, 1)
    print(to_yaml(load_yaml(Experiment, known_preset(arguments[0]))), end="")
    return 0


def _validate(arguments: list[str]) -> int:
    _check_count("validate FILE", arguments, 1, 1)
    try:
        load_yaml(Experiment, arguments[0])
    except ConfigError as error:
        say(str(error))
        return 1
    print(f"{arguments[0]}: valid")
    return 0


def _schema(arguments: list[str]) -> int:
    _check_count("schema [NAME]", arguments, 0, 1)
    print(json.dumps(json_schema(_config_class(arguments[0]) if arguments else Experiment), indent=2))
    return 0


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "list": _list,
    "show": _show,
    "validate": _validate,
    "schema": _schema,
}


def known_preset(name: str):
    """File of a preset; an unknown name is wrong usage, answered with the nearest."""
    try:
        return preset_path(name)
    except LookupError as error:
        raise UsageError(f"{error} See `artifex config list`.") from None


def _check_count(usage: str, arguments: list[str], least: int, most: int) -> None:
    if not least <= len(arguments) <= most:
        got = " ".join(arguments) or "nothing"
        raise UsageError(f"usage: artifex config {usage}; got {got}")


def _config_class(name: str) -> type[Config]:
    classes = {cls.__name__: cls for cls in _subclasses(Config)}
    if name not in classes:
        raise UsageError(
            unknown_name("config class", name, [n for n, c in classes.items() if config_kinds(c)])
        )
    return classes[name]


def _subclasses(cls: type[Config]) -> list[type[Config]]:
    return [found for sub in cls.__subclasses__() for found in (sub, *_subclasses(sub))]
