"""Configs of normalizing flows."""

from artifex.generative_models.core.configuration.flow.bijections import (
    BijectionConfig,
    CouplingLayerConfig,
    MaskedAutoregressiveConfig,
)
from artifex.generative_models.core.configuration.flow.transformers import (
    AdditiveTransformerConfig,
    AffineTransformerConfig,
    CircularSplineConfig,
    CubicSplineConfig,
    LinearSplineConfig,
    MixtureCDFConfig,
    MonotoneNetworkConfig,
    RationalQuadraticSplineConfig,
    ScalarTransformerConfig,
)
