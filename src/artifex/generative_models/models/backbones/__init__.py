"""Networks that model families share.

Each computes in the type of its weights and returns the type of its input. Norms and the softmax of attention are
computed in float32, whatever the weights' type.
"""

from artifex.generative_models.models.backbones.activations import activation_function
from artifex.generative_models.models.backbones.attention import CrossAttention, attend
from artifex.generative_models.models.backbones.coders import (
    ConvDecoder,
    ConvEncoder,
    MLPDecoder,
    MLPEncoder,
    make_decoder,
    make_encoder,
)
from artifex.generative_models.models.backbones.conditions import condition_vector
from artifex.generative_models.models.backbones.convolutional import (
    ConvGridDecoder,
    ConvGridEncoder,
    ResidualBlock,
    make_grid_decoder,
    make_grid_encoder,
)
from artifex.generative_models.models.backbones.layers import apply_linear, conv2d, group_norm, linear
from artifex.generative_models.models.backbones.mlp import MLP
from artifex.generative_models.models.backbones.stack import Stack
from artifex.generative_models.models.backbones.transformer import (
    CausalAttention,
    CausalTransformer,
    KeyValueCache,
    TransformerBlock,
)

__all__ = [
    "MLP",
    "CausalAttention",
    "CausalTransformer",
    "ConvDecoder",
    "ConvEncoder",
    "ConvGridDecoder",
    "ConvGridEncoder",
    "CrossAttention",
    "KeyValueCache",
    "MLPDecoder",
    "MLPEncoder",
    "ResidualBlock",
    "Stack",
    "TransformerBlock",
    "activation_function",
    "apply_linear",
    "attend",
    "condition_vector",
    "conv2d",
    "group_norm",
    "linear",
    "make_decoder",
    "make_encoder",
    "make_grid_decoder",
    "make_grid_encoder",
]
