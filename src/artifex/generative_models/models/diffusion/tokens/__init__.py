"""Diffusion of tokens: masked and uniform."""

from artifex.generative_models.models.diffusion.tokens.known import Known, known_batch
from artifex.generative_models.models.diffusion.tokens.make import make_token_process
from artifex.generative_models.models.diffusion.tokens.masked import MaskedProcess
from artifex.generative_models.models.diffusion.tokens.model import TokenDiffusion
from artifex.generative_models.models.diffusion.tokens.process import (
    AbstractTokenProcess,
    TokenDenoiser,
    draw_tokens,
)
from artifex.generative_models.models.diffusion.tokens.schedules import (
    AbstractTokenSchedule,
    make_token_schedule,
)
from artifex.generative_models.models.diffusion.tokens.uniform import UniformProcess
