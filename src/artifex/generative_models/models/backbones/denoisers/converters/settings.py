"""Settings of other libraries' networks that ours must share."""

from collections.abc import Mapping
from typing import Any


def require(settings: Mapping[str, Any], **wanted: Any) -> None:
    """Raise unless settings have the values that the conversion supports; one that is not given has them.

    Raises:
        ValueError: naming the first that differs.
    """
    for name, value in wanted.items():
        if settings.get(name, value) != value:
            raise ValueError(f"only `{name}` = {value!r} can be converted; got {settings[name]!r}")
