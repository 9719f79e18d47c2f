"""Networks from a noisy example, its noise level and a condition to a prediction of the example's shape."""

from artifex.generative_models.models.backbones.denoisers.base import AbstractDenoiserNetwork, make_denoiser
from artifex.generative_models.models.backbones.denoisers.dit import DiT
from artifex.generative_models.models.backbones.denoisers.mlp import MLPDenoiser
from artifex.generative_models.models.backbones.denoisers.mm_dit import MMDiT
from artifex.generative_models.models.backbones.denoisers.tokens import (
    AbstractTokenDenoiser,
    TokenMLP,
    TokenTransformer,
    make_token_denoiser,
)
from artifex.generative_models.models.backbones.denoisers.u_vit import UViT
from artifex.generative_models.models.backbones.denoisers.unet import UNet
