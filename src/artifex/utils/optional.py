"""Optional packages: imported when first needed, with an error that names the extra."""

import importlib
from types import ModuleType


class MissingExtraError(ImportError):
    """An optional package is needed and not installed."""


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import an optional package.

    Args:
        module: importable name, for example `"soundfile"`.
        extra: the extra of artifex that brings it.
        purpose: what it is needed for, as in "to read audio".

    Raises:
        MissingExtraError: the package is absent; the message holds the pip command.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise MissingExtraError(f"`{module}` is needed {purpose}: pip install 'artifex[{extra}]'") from error
