"""Values of examples: what a model can learn from, checked where they are known, before they reach compiled code."""

from collections.abc import Mapping
from functools import singledispatch
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import PyTree

from artifex.generative_models.core.configuration import (
    BernoulliConfig,
    Config,
    DiscretizedLogisticConfig,
    ModelConfig,
)

_TOLERANCE = 1e-3  # of the range, for numbers that were rounded

# By whether the model has a vocabulary.
_MEANING = {False: "the range of the model's likelihood", True: "the integers that the model knows"}
_FIX = {
    False: "Rescale the data, choose another representation, or another likelihood.",
    True: "Give the model a `vocab_size` as large as the data need.",
}


def check_examples(config: ModelConfig, batch: Mapping[str, PyTree[Any]]) -> None:
    """Raise unless a model can learn from these values. Shapes are checked where the model is traced.

    Args:
        config: of the model.
        batch: `"x"` in the model's form and maybe `"condition"`, arrays of known values; what is missing is not
            looked at.

    Raises:
        ValueError: class labels beyond `num_classes`, or entries outside the range of its likelihood or vocabulary.
    """
    labels = batch.get("condition")
    if config.num_classes is not None and labels is not None:
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or high >= config.num_classes:
            raise ValueError(
                f"class labels must lie in [0, {config.num_classes}), as `num_classes` of the model says; got "
                f"values from {low} to {high}"
            )
    limits = value_range(config)
    if limits is None:
        return
    has_vocabulary = hasattr(config, "vocab_size")
    for leaf in jax.tree.leaves(batch.get("x")):
        low, high = float(leaf.min()), float(leaf.max())
        slack = _TOLERANCE * (limits[1] - limits[0]) if jnp.issubdtype(leaf.dtype, jnp.inexact) else 0.0
        if low < limits[0] - slack or high > limits[1] + slack:
            raise ValueError(
                f"`x` must lie in [{limits[0]:g}, {limits[1]:g}], {_MEANING[has_vocabulary]}; got values from {low:g} "
                f"to {high:g}. {_FIX[has_vocabulary]}"
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
