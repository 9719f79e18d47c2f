"""Checks of models of which a part is trained first."""

from typing import Any

from artifex.generative_models.core.configuration import ModelConfig, first_difference
from artifex.generative_models.core.protocols import TakesPretrained


def check_has_pretrained(model: Any) -> None:
    """Raise if a part of the model is to be trained first, and the model does not hold a trained one.

    Raises:
        ValueError: with the fix.
    """
    part = getattr(getattr(model, "config", None), "pretrained_part", None)
    if part is None or not isinstance(model, TakesPretrained) or model.has_pretrained:
        return
    raise ValueError(
        f"{type(model).__name__} needs its part {part.kind!r} trained first: `part = fit(create_model("
        "model.config.pretrained_part, key=key), ...).model`, then `model = model.with_pretrained(part, x, key=key)`"
    )


def check_part(config: ModelConfig, part: Any) -> None:
    """Raise unless `part` is a model of the config that is to be trained first.

    Args:
        config: of the whole model.
        part: what was given as its trained part.

    Raises:
        TypeError: it is no model.
        ValueError: it has another config.
    """
    wanted, got = config.pretrained_part, getattr(part, "config", None)
    if wanted is None:
        raise ValueError(f"a model of the kind {config.kind!r} has no part that is trained first")
    if not isinstance(got, ModelConfig):
        raise TypeError(f"`part` must be a trained model {wanted.kind!r}; got {type(part).__name__}")
    if got != wanted:
        raise ValueError(
            "`part` must have the config `config.pretrained_part`; "
            + (first_difference(wanted, got) or f"got {type(got).__name__}")
        )
