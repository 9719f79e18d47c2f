"""All configs of the library. Nothing here imports JAX, so the command line can read configs quickly."""

from artifex.generative_models.core.configuration.base import (
    Config,
    ConfigError,
    config,
    config_kinds,
    from_mapping,
)
from artifex.generative_models.core.configuration.data import (
    BinarizedConfig,
    DataConfig,
    DequantizedConfig,
    DigitsConfig,
    DiscreteConfig,
    FashionMNISTConfig,
    IDXImagesConfig,
    ImageDataConfig,
    ImageDatasetConfig,
    ImageFolderConfig,
    ImageRepresentationConfig,
    LogitConfig,
    MNISTConfig,
    NpzImagesConfig,
    SymmetricConfig,
    UnitIntervalConfig,
)
from artifex.generative_models.core.configuration.diffusion import (
    CosinePathConfig,
    DataPredictionConfig,
    DDPMPathConfig,
    EDMPathConfig,
    EDMPredictionConfig,
    KarrasSpacingConfig,
    LeadingSpacingConfig,
    LinearPathConfig,
    LogSNRSpacingConfig,
    NoisePredictionConfig,
    PathConfig,
    PowerSpacingConfig,
    PredictionConfig,
    ScorePredictionConfig,
    SigmoidPathConfig,
    SpacingConfig,
    SubVPPathConfig,
    TrailingSpacingConfig,
    TrigonometricPathConfig,
    UniformSpacingConfig,
    VelocityPredictionConfig,
    VEPathConfig,
    VPPathConfig,
    VPredictionConfig,
)
from artifex.generative_models.core.configuration.experiment import Experiment
from artifex.generative_models.core.configuration.likelihoods import (
    BernoulliConfig,
    DiscretizedLogisticConfig,
    LikelihoodConfig,
    NormalConfig,
)
from artifex.generative_models.core.configuration.models import ModelConfig
from artifex.generative_models.core.configuration.networks import (
    ConvDecoderConfig,
    ConvEncoderConfig,
    DecoderConfig,
    EncoderConfig,
    MLPDecoderConfig,
    MLPEncoderConfig,
)
from artifex.generative_models.core.configuration.optimizers import (
    AdamaxConfig,
    AdamConfig,
    AdamWConfig,
    LionConfig,
    MuonConfig,
    OptimizerConfig,
    RAdamConfig,
    RMSPropConfig,
    SGDConfig,
)
from artifex.generative_models.core.configuration.scaling import MeshConfig, ShardingRuleConfig
from artifex.generative_models.core.configuration.schedules import (
    ConstantScheduleConfig,
    CyclicalScheduleConfig,
    ExponentialScheduleConfig,
    LinearScheduleConfig,
    PiecewiseScheduleConfig,
    ScheduleConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.core.configuration.serialization import (
    first_difference,
    from_json,
    from_yaml,
    json_schema,
    load_mapping,
    load_yaml,
    to_json,
    to_mapping,
    to_yaml,
)
from artifex.generative_models.core.configuration.training import TrainingConfig
from artifex.generative_models.core.configuration.vae import (
    BottomUpInferenceConfig,
    CapacityConfig,
    ElboConfig,
    GaussianMixturePriorConfig,
    HierarchicalInferenceConfig,
    HierarchicalVAEConfig,
    ImportanceWeightedConfig,
    LadderInferenceConfig,
    MMDConfig,
    PriorConfig,
    StandardNormalPriorConfig,
    TotalCorrelationConfig,
    VAEConfig,
    VAEObjectiveConfig,
    VampPriorConfig,
)
from artifex.generative_models.core.configuration.vae.quantized import (
    CodePriorConfig,
    FSQConfig,
    QuantizerConfig,
    ResidualQuantizerConfig,
    VectorQuantizerConfig,
    VQVAEConfig,
)
