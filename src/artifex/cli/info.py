"""`artifex info`: what is installed and what is there, for bug reports."""

import dataclasses
import json
import os
import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from artifex.cli.options import Switch, parse

_PACKAGES = (
    "artifex",
    "jax",
    "jaxlib",
    "equinox",
    "optax",
    "diffrax",
    "distrax",
    "blackjax",
    "numpy",
    "orbax-checkpoint",
    "grain",
    "pydantic",
    "tyro",
    "matplotlib",
)


@dataclasses.dataclass(frozen=True)
class Options:
    """Options of `artifex info`.

    Attributes:
        json: print JSON instead of lines for people.
    """

    json: Switch = False


def run(arguments: list[str]) -> int:
    """Run `artifex info`."""
    options = parse(
        Options, arguments, command="info", text="Versions, devices and folders, for bug reports."
    )
    facts = gather()
    if options.json:
        print(json.dumps(facts, indent=2))
        return 0
    width = max(map(len, facts))
    for name, value in facts.items():
        print(f"{name:<{width}}   {value}")
    return 0


def gather() -> dict[str, Any]:
    """Facts about this installation and machine, by name."""
    from artifex.generative_models.core.device import DeviceManager

    found = DeviceManager()
    return {
        **{name: _version(name) for name in _PACKAGES},
        "python": platform.python_version(),
        "system": platform.platform(),
        "platform": found.platform,
        "devices": f"{found.num_devices} x {found.kind}",
        "memory of a device": _gib(found.device_memory),
        "cores": found.num_cores,
        "memory of the host": _gib(found.host_memory),
        "ARTIFEX_DATA_DIR": os.environ.get("ARTIFEX_DATA_DIR", "not set"),
    }


def _gib(size: int | None) -> str:
    return "not known" if size is None else f"{size / 2**30:.1f} GiB"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
