"""The process of a model's config."""

from functools import singledispatch

from artifex.generative_models.core.configuration import (
    MaskedDiffusionConfig,
    TokenDiffusionConfig,
    UniformDiffusionConfig,
)
from artifex.generative_models.models.diffusion.tokens.masked import MaskedProcess
from artifex.generative_models.models.diffusion.tokens.process import AbstractTokenProcess
from artifex.generative_models.models.diffusion.tokens.schedules import make_token_schedule
from artifex.generative_models.models.diffusion.tokens.uniform import UniformProcess


@singledispatch
def make_token_process(config: TokenDiffusionConfig) -> AbstractTokenProcess:
    """How the tokens of a model get lost and come back."""
    raise LookupError(
        f"no process is registered for {type(config).__name__}; use @make_token_process.register"
    )


@make_token_process.register
def _(config: MaskedDiffusionConfig) -> AbstractTokenProcess:
    return MaskedProcess(make_token_schedule(config.schedule), config.vocab_size)


@make_token_process.register
def _(config: UniformDiffusionConfig) -> AbstractTokenProcess:
    return UniformProcess(make_token_schedule(config.schedule), config.vocab_size)
