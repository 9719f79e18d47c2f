"""Normalizing flows. Importing the family registers the builders of all its configs."""

from artifex.generative_models.models.flow import image_layers  # enters layers of images
from artifex.generative_models.models.flow.base import AbstractFlow
from artifex.generative_models.models.flow.continuous import ContinuousFlow
from artifex.generative_models.models.flow.dequantization import DequantizedFlow
from artifex.generative_models.models.flow.latent import latent_density
from artifex.generative_models.models.flow.layers import flow_layers
from artifex.generative_models.models.flow.manifold import ManifoldFlow
from artifex.generative_models.models.flow.model import NormalizingFlow
from artifex.generative_models.models.flow.outputs import flow_states
from artifex.generative_models.models.flow.tarflow import TarFlow
