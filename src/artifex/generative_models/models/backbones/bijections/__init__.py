"""Invertible maps with the logarithm of their volume change: the layers of normalizing flows."""

from artifex.generative_models.models.backbones.bijections.act_norm import ActNorm, initialized
from artifex.generative_models.models.backbones.bijections.autoregressive import MaskedAutoregressive
from artifex.generative_models.models.backbones.bijections.base import AbstractBijection
from artifex.generative_models.models.backbones.bijections.compose import Chain, Inverted, ScannedBijection
from artifex.generative_models.models.backbones.bijections.coupling import Coupling, coupling_mask
from artifex.generative_models.models.backbones.bijections.elementwise import (
    Affine,
    Exp,
    LeakyReLU,
    LeakyTanh,
    Logit,
    Sigmoid,
    Softplus,
    Tanh,
)
from artifex.generative_models.models.backbones.bijections.entries import ElementwiseTransformer
from artifex.generative_models.models.backbones.bijections.linear import LULinear, Permutation, Reverse
from artifex.generative_models.models.backbones.bijections.make import make_bijection
from artifex.generative_models.models.backbones.bijections.orthogonal import (
    CayleyOrthogonal,
    HouseholderOrthogonal,
)
from artifex.generative_models.models.backbones.bijections.planar import Planar, Radial
from artifex.generative_models.models.backbones.bijections.sequences import TransformerAutoregressive
from artifex.generative_models.models.backbones.bijections.sets import SetCoupling
from artifex.generative_models.models.backbones.bijections.shapes import PatchesToImage, Reshape
from artifex.generative_models.models.backbones.bijections.sylvester import Sylvester
