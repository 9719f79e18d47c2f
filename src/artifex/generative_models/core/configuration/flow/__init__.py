"""Configs of normalizing flows."""

from artifex.generative_models.core.configuration.flow.attention_models import SetFlowConfig, TarFlowConfig
from artifex.generative_models.core.configuration.flow.bases import (
    LatentDensityConfig,
    LogisticLatentConfig,
    NormalLatentConfig,
    StudentTLatentConfig,
    UniformSphereLatentConfig,
    UniformTorusLatentConfig,
)
from artifex.generative_models.core.configuration.flow.bijections import (
    BijectionConfig,
    CouplingLayerConfig,
    MaskedAutoregressiveConfig,
)
from artifex.generative_models.core.configuration.flow.continuous import CNFConfig, ContinuousConfig
from artifex.generative_models.core.configuration.flow.elementwise import (
    ExpLayerConfig,
    LeakyReLULayerConfig,
    LeakyTanhLayerConfig,
    LogitLayerConfig,
    ShiftScaleLayerConfig,
    SigmoidLayerConfig,
    SoftplusLayerConfig,
    TanhLayerConfig,
)
from artifex.generative_models.core.configuration.flow.image_models import (
    DequantizedFlowConfig,
    GlowConfig,
    ImageFlowConfig,
    ImageRealNVPConfig,
)
from artifex.generative_models.core.configuration.flow.images import (
    Conv1x1Config,
    ImageCouplingConfig,
    SplitConfig,
    SqueezeConfig,
    UnsqueezeConfig,
)
from artifex.generative_models.core.configuration.flow.layers import (
    ActNormConfig,
    CayleyConfig,
    ChainConfig,
    ElementwiseTransformerConfig,
    HouseholderConfig,
    InverseConfig,
    LULinearConfig,
    PermutationConfig,
    PlanarConfig,
    RadialConfig,
    ReverseConfig,
    ScannedConfig,
    SylvesterConfig,
)
from artifex.generative_models.core.configuration.flow.manifolds import (
    ManifoldFlowConfig,
    SphereFlowConfig,
    SphereSplineConfig,
    TorusFlowConfig,
)
from artifex.generative_models.core.configuration.flow.models import (
    BijectionFlowConfig,
    FlowConfig,
    IAFConfig,
    MAFConfig,
    NAFConfig,
    NICEConfig,
    NSFConfig,
    RealNVPConfig,
    VectorFlowConfig,
)
from artifex.generative_models.core.configuration.flow.residual import (
    ResidualConfig,
    ResidualFlowConfig,
    RussianRouletteConfig,
)
from artifex.generative_models.core.configuration.flow.structured import (
    ReshapeConfig,
    SetCouplingConfig,
    TransformerAutoregressiveConfig,
)
from artifex.generative_models.core.configuration.flow.transformers import (
    AdditiveTransformerConfig,
    AffineTransformerConfig,
    CircularSplineConfig,
    CubicSplineConfig,
    IntervalSplineConfig,
    LinearSplineConfig,
    MixtureCDFConfig,
    MonotoneNetworkConfig,
    RationalQuadraticSplineConfig,
    ScalarTransformerConfig,
)
