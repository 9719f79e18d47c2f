"""Values of examples: what a model can learn from, checked where they are known, before they reach compiled code."""

import math
from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, PyTree

from artifex.generative_models.core.configuration import (
    BernoulliConfig,
    Config,
    DiscretizedLogisticConfig,
    ModelConfig,
)

_TOLERANCE = 1e-3  # of the range, for numbers that were rounded
_MOST_ROWS = 5


def check_examples(config: ModelConfig, batch: Mapping[str, PyTree[Any]]) -> None:
    """Raise unless a model can learn from these values. Shapes are checked where the model is traced.

    Args:
        config: of the model.
        batch: `"x"` in the model's form and maybe `"condition"`, arrays of known values; what is missing is not
            looked at.

    Raises:
        ValueError: class labels beyond `num_classes`, or examples that the model cannot give, with their rows.
    """
    labels = batch.get("condition")
    if config.num_classes is not None and labels is not None:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= config.num_classes:
            raise ValueError(
                f"class labels must lie in [0, {config.num_classes}), as `num_classes` of the model says; got "
                f"values from {low} to {high}"
            )
    for leaf in jax.tree.leaves(batch.get("x")):
        check_support(config, leaf)


@singledispatch
def check_support(config: ModelConfig, x: Any) -> None:
    """Raise unless all examples are such that a model can give them, by their entries' `value_range`.

    Where any number is in the range, those of uint8 are not: they are pixels that nobody has scaled.

    A family whose examples have to be more than numbers of an interval enters its config here.

    Args:
        config: of the model.
        x: array of examples, or of a part of them, with a leading axis.

    Raises:
        ValueError: with the rows that are outside, and how far.
    """
    limits = value_range(config)
    if limits is None:
        _check_not_stored_pixels(x)
        return
    low, high = float(x.min()), float(x.max())
    width = limits[1] - limits[0]
    has_slack = jnp.issubdtype(x.dtype, jnp.inexact) and math.isfinite(width)
    slack = _TOLERANCE * width if has_slack else 0.0
    if low >= limits[0] - slack and high <= limits[1] + slack:
        return
    values = np.asarray(x, np.float64).reshape(len(x), -1)
    distances = np.maximum(limits[0] - values, values - limits[1]).max(axis=1)
    meaning, fix = (
        "the range of what the model can give",
        "Rescale the data, choose another representation, or another likelihood.",
    )
    if hasattr(config, "vocab_size"):
        meaning, fix = (
            "the integers that the model knows",
            "Give the model a `vocab_size` as large as the data need.",
        )
    raise outside_error(
        distances,
        slack,
        f"`x` must lie in [{limits[0]:g}, {limits[1]:g}], {meaning}; got values from {low:g} to {high:g}",
        fix,
    )


def _check_not_stored_pixels(x: Any) -> None:
    if x.dtype == np.uint8 and x.size and x.max() > 1:
        raise ValueError(
            f"`x` must be numbers of the scale that the model learns; got uint8 up to {int(x.max())}, as pixels are "
            "stored. Scale them, for images x / 127.5 - 1, or give x.astype(np.float32) if these numbers are meant."
        )


def outside_error(
    distances: Float[np.ndarray, " rows"], tolerance: float, requirement: str, fix: str
) -> ValueError:
    """The error for examples that a model cannot give.

    Args:
        distances: how far each is outside, in units of the data.
        tolerance: from where on that is an error.
        requirement: what is required and what was got.
        fix: a sentence.
    """
    rows = np.flatnonzero(~(distances <= tolerance))
    listed = ", ".join(f"row {row} by {distances[row]:.4g}" for row in rows[:_MOST_ROWS])
    rest = ", ..." if len(rows) > _MOST_ROWS else ""
    return ValueError(
        f"{requirement}; {len(rows)} of {len(distances)} rows lie outside: {listed}{rest}. {fix}"
    )


@singledispatch
def value_range(config: Config) -> tuple[float, float] | None:
    """Least and greatest value in an example, by a model's or a likelihood's config; None: any.

    A family enters its own configs by `value_range.register`.
    """
    return None


@value_range.register
def _(config: BernoulliConfig) -> tuple[float, float] | None:
    return 0.0, 1.0


@value_range.register
def _(config: DiscretizedLogisticConfig) -> tuple[float, float] | None:
    return config.low, config.high
