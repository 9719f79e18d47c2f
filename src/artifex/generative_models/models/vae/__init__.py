"""Variational autoencoders. Importing the family registers the builders of all its configs."""

from artifex.generative_models.models.vae.autoencoder_kl import AutoencoderKL
from artifex.generative_models.models.vae.gaussian import VAE
from artifex.generative_models.models.vae.hierarchical import HierarchicalVAE
from artifex.generative_models.models.vae.initialization import (
    initialize_output_bias,
    initialize_pseudo_inputs,
)
from artifex.generative_models.models.vae.quantized import VQVAE
