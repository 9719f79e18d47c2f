"""Weights of networks of other libraries, in ours."""

from artifex.generative_models.models.backbones.denoisers.converters.autoencoder import (
    ConvertedAutoencoder,
    autoencoder_from_diffusers,
)
from artifex.generative_models.models.backbones.denoisers.converters.diffusers import (
    load_diffusers,
    load_diffusers_autoencoder,
)
from artifex.generative_models.models.backbones.denoisers.converters.dit import dit_from_diffusers
from artifex.generative_models.models.backbones.denoisers.converters.tensors import ConvertedNetwork
from artifex.generative_models.models.backbones.denoisers.converters.unet import unet_from_diffusers
