"""Named, ready experiments, and what runs one from its config to its results.

What needs JAX is loaded when first used, so that the command line can look at presets and run folders at once.
"""

import importlib
from typing import TYPE_CHECKING, Any

from artifex.generative_models.zoo.folders import (
    AnotherConfigError,
    RunExistsError,
    holds_run,
    load_experiment,
)
from artifex.generative_models.zoo.presets import get, load, names

if TYPE_CHECKING:
    from artifex.generative_models.zoo.run import RunResult, example_conditions, load_run, run_experiment

_LAZY = ("RunResult", "example_conditions", "load_run", "run_experiment")


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.run"), name)
    globals()[name] = value
    return value
