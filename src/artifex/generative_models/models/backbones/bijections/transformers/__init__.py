"""Increasing maps of one number, whose parameters a network gives, built from their configs by `make_transformer`."""

from artifex.generative_models.models.backbones.bijections.transformers.affine import (
    AdditiveTransformer,
    AffineTransformer,
)
from artifex.generative_models.models.backbones.bijections.transformers.base import (
    AbstractTransformer,
    make_transformer,
    network_inputs,
)
from artifex.generative_models.models.backbones.bijections.transformers.mixture import MixtureCDF
from artifex.generative_models.models.backbones.bijections.transformers.network import MonotoneNetwork
from artifex.generative_models.models.backbones.bijections.transformers.polynomial import (
    CubicSpline,
    LinearSpline,
)
from artifex.generative_models.models.backbones.bijections.transformers.rational_quadratic import (
    CircularSpline,
    IntervalSpline,
    RationalQuadraticSpline,
    wrapped,
)
