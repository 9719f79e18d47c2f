"""Configs of diffusion and flow-matching models."""

from artifex.generative_models.core.configuration.diffusion.classifier import NoisyClassifierConfig
from artifex.generative_models.core.configuration.diffusion.consistency import (
    ConsistencyConfig,
    ConsistencyObjectiveConfig,
    ContinuousConsistencyConfig,
    DiscreteConsistencyConfig,
)
from artifex.generative_models.core.configuration.diffusion.couplings import (
    CouplingConfig,
    IndependentCouplingConfig,
    OptimalTransportCouplingConfig,
    SinkhornCouplingConfig,
)
from artifex.generative_models.core.configuration.diffusion.guidance import GuidanceConfig
from artifex.generative_models.core.configuration.diffusion.interpolants import StochasticInterpolantConfig
from artifex.generative_models.core.configuration.diffusion.latent import LatentDiffusionConfig
from artifex.generative_models.core.configuration.diffusion.levels import (
    LevelConfig,
    LogSNRLevelConfig,
    TimeLevelConfig,
)
from artifex.generative_models.core.configuration.diffusion.likelihood import LikelihoodODEConfig
from artifex.generative_models.core.configuration.diffusion.mean_flow import MeanFlowConfig
from artifex.generative_models.core.configuration.diffusion.models import (
    DDIMConfig,
    DDPMConfig,
    DiffusionConfig,
    EDMConfig,
    FlowMatchingConfig,
    ScoreSDEConfig,
)
from artifex.generative_models.core.configuration.diffusion.networks import (
    AttentionKernel,
    DenoiserConfig,
    MLPDenoiserConfig,
    Remat,
    UNetConfig,
)
from artifex.generative_models.core.configuration.diffusion.paths import (
    CosinePathConfig,
    DDPMPathConfig,
    EDMPathConfig,
    LinearPathConfig,
    PathConfig,
    SigmoidPathConfig,
    SubVPPathConfig,
    TrigonometricPathConfig,
    VEPathConfig,
    VPPathConfig,
)
from artifex.generative_models.core.configuration.diffusion.predictions import (
    DataPredictionConfig,
    EDMPredictionConfig,
    NoisePredictionConfig,
    PredictionConfig,
    ScorePredictionConfig,
    VelocityPredictionConfig,
    VPredictionConfig,
)
from artifex.generative_models.core.configuration.diffusion.samplers import (
    AdaptiveODESamplerConfig,
    ConsistencySamplerConfig,
    DDIMSamplerConfig,
    DPMSolverMultistepSamplerConfig,
    DPMSolverSinglestepSamplerConfig,
    HeunSamplerConfig,
    LangevinSamplerConfig,
    ODESamplerConfig,
    RestartSamplerConfig,
    SamplerConfig,
    SDESamplerConfig,
    UniPCSamplerConfig,
)
from artifex.generative_models.core.configuration.diffusion.spacings import (
    KarrasSpacingConfig,
    LeadingSpacingConfig,
    LogSNRSpacingConfig,
    PowerSpacingConfig,
    SpacingConfig,
    TrailingSpacingConfig,
    UniformSpacingConfig,
)
from artifex.generative_models.core.configuration.diffusion.tokens import (
    CosineTokenScheduleConfig,
    LinearTokenScheduleConfig,
    LogLinearTokenScheduleConfig,
    MaskedDiffusionConfig,
    PolynomialTokenScheduleConfig,
    TokenDenoiserConfig,
    TokenDiffusionConfig,
    TokenMLPConfig,
    TokenScheduleConfig,
    TokenTransformerConfig,
    UniformDiffusionConfig,
)
from artifex.generative_models.core.configuration.diffusion.training import (
    ConstantWeightingConfig,
    LevelTimesConfig,
    LogitNormalTimesConfig,
    LogNormalSigmaTimesConfig,
    MinSNRWeightingConfig,
    P2WeightingConfig,
    SNRWeightingConfig,
    TimeDistributionConfig,
    UniformTimesConfig,
    WeightingConfig,
)
from artifex.generative_models.core.configuration.diffusion.transformers import (
    DiTConfig,
    MMDiTConfig,
    PatchTransformerConfig,
    UViTConfig,
    dit_size,
    mm_dit_size,
    u_vit_size,
)
from artifex.generative_models.core.configuration.diffusion.variance import (
    BoundConfig,
    FixedLargeVarianceConfig,
    FixedSmallVarianceConfig,
    LearnedRangeVarianceConfig,
    VarianceConfig,
)
