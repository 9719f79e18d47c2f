"""New examples as the command line asks for them."""

import inspect
from collections.abc import Mapping
from typing import Any

from artifex.cli.messages import UsageError
from artifex.cli.options import SamplingOptions
from artifex.generative_models.core.configuration import (
    Config,
    ConfigError,
    SamplerConfig,
    SpacingConfig,
    as_config,
    from_yaml,
)
from artifex.generative_models.core.protocols import HasSamplers


def examples(model: Any, num: int, options: SamplingOptions, given: Mapping[str, Any]) -> Any:
    """New examples, in the model's form.

    Args:
        model: a trained model.
        num: how many.
        options: how they are sampled.
        given: `key`, `condition` and `chunk_size`.

    Raises:
        UsageError: the model has nothing that an option could set.
    """
    sampling = chosen_sampling(options)
    if not sampling:
        return model.generate(num, **given)
    taken = inspect.signature(model.sample).parameters if isinstance(model, HasSamplers) else {}
    for flag, (name, _) in sampling.items():
        if name not in taken:
            raise UsageError(f"{type(model).__name__} has nothing that {flag} could set: leave it out")
    return model.sample(num, **given, **dict(sampling.values())).x


def chosen_sampling(options: SamplingOptions) -> dict[str, tuple[str, Any]]:
    """What the command line says of sampling: by flag, the argument of `sample` and its value."""
    given = {
        "--sampler": ("sampler", _part(SamplerConfig, "--sampler", options.sampler)),
        "--steps": ("num_steps", options.steps),
        "--spacing": ("spacing", _part(SpacingConfig, "--spacing", options.spacing)),
        "--guidance": ("guidance_scale", options.guidance),
    }
    return {flag: (name, value) for flag, (name, value) in given.items() if value is not None}


def _part(base: type[Config], flag: str, text: str | None) -> Any:
    """A config from its name or from YAML."""
    try:
        if text is None or not text.lstrip().startswith("{"):
            return None if text is None else as_config(base, text)
        return from_yaml(base, text)
    except ConfigError as error:
        raise UsageError(f"{flag}: {error}") from None
