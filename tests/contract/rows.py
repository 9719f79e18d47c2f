"""The rows of the table as parameters of tests."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.contract.table import TABLE


def rows(is_slow: Callable[[str], bool] = lambda name: False) -> list[Any]:
    """All rows; those that are slow, or for which `is_slow` says so, run with the slow tests."""
    return [
        pytest.param(name, marks=[pytest.mark.slow] if entry.is_slow or is_slow(name) else [])
        for name, entry in TABLE.items()
    ]
