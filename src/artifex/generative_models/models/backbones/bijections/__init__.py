"""Invertible maps with the logarithm of their volume change: the layers of normalizing flows."""

from artifex.generative_models.models.backbones.bijections import make_image  # enters builders
from artifex.generative_models.models.backbones.bijections.act_norm import ActNorm, initialized
from artifex.generative_models.models.backbones.bijections.autoregressive import MaskedAutoregressive
from artifex.generative_models.models.backbones.bijections.base import AbstractBijection
from artifex.generative_models.models.backbones.bijections.compose import Chain, Inverted, ScannedBijection
from artifex.generative_models.models.backbones.bijections.continuous import Continuous
from artifex.generative_models.models.backbones.bijections.conv_1x1 import InvertibleConv1x1
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
from artifex.generative_models.models.backbones.bijections.image_coupling import (
    ChannelCoupling,
    CheckerboardCoupling,
)
from artifex.generative_models.models.backbones.bijections.linear import LULinear, Permutation, Reverse
from artifex.generative_models.models.backbones.bijections.make import make_bijection
from artifex.generative_models.models.backbones.bijections.orthogonal import (
    CayleyOrthogonal,
    HouseholderOrthogonal,
)
from artifex.generative_models.models.backbones.bijections.outputs import layer_outputs
from artifex.generative_models.models.backbones.bijections.planar import Planar, Radial
from artifex.generative_models.models.backbones.bijections.residual import (
    Residual,
    estimated_inverse_and_log_det,
    has_estimates,
)
from artifex.generative_models.models.backbones.bijections.sequences import TransformerAutoregressive
from artifex.generative_models.models.backbones.bijections.sets import SetCoupling
from artifex.generative_models.models.backbones.bijections.shapes import PatchesToImage, Reshape
from artifex.generative_models.models.backbones.bijections.spectral import with_advanced_norms
from artifex.generative_models.models.backbones.bijections.sphere import SphereSpline
from artifex.generative_models.models.backbones.bijections.split import Split
from artifex.generative_models.models.backbones.bijections.squeeze import Squeeze, Unsqueeze
from artifex.generative_models.models.backbones.bijections.sylvester import Sylvester
