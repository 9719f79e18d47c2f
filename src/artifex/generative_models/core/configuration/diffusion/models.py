"""Configs of diffusion and flow-matching models: one family, five customary combinations of its parts."""

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.diffusion.couplings import (
    CouplingConfig,
    IndependentCouplingConfig,
)
from artifex.generative_models.core.configuration.diffusion.levels import LevelConfig, LogSNRLevelConfig
from artifex.generative_models.core.configuration.diffusion.likelihood import LikelihoodODEConfig
from artifex.generative_models.core.configuration.diffusion.networks import DenoiserConfig, MLPDenoiserConfig
from artifex.generative_models.core.configuration.diffusion.paths import (
    DDPMPathConfig,
    EDMPathConfig,
    LinearPathConfig,
    PathConfig,
    VPPathConfig,
)
from artifex.generative_models.core.configuration.diffusion.predictions import (
    EDMPredictionConfig,
    NoisePredictionConfig,
    PredictionConfig,
    ScorePredictionConfig,
    VelocityPredictionConfig,
)
from artifex.generative_models.core.configuration.diffusion.samplers import (
    ConsistencySamplerConfig,
    DDIMSamplerConfig,
    HeunSamplerConfig,
    SamplerConfig,
)
from artifex.generative_models.core.configuration.diffusion.spacings import (
    KarrasSpacingConfig,
    SpacingConfig,
    UniformSpacingConfig,
)
from artifex.generative_models.core.configuration.diffusion.training import (
    ConstantWeightingConfig,
    LevelTimesConfig,
    LogNormalSigmaTimesConfig,
    SNRWeightingConfig,
    TimeDistributionConfig,
    UniformTimesConfig,
    WeightingConfig,
)
from artifex.generative_models.core.configuration.diffusion.variance import (
    BoundConfig,
    FixedSmallVarianceConfig,
    LearnedRangeVarianceConfig,
    VarianceConfig,
)
from artifex.generative_models.core.configuration.fields import Fraction, NonNegativeFloat, PositiveInt
from artifex.generative_models.core.configuration.models import ModelConfig, check_guidance


@config()
class DiffusionConfig(ModelConfig):
    """Model = path x prediction x network x weighting x time distribution; any sampler goes with it.

    Attributes:
        network: what predicts.
        path: how data turn into noise.
        prediction: what the network's output means.
        level: how the network is told the time.
        times: where on the path training examples lie.
        weighting: how their errors are weighed.
        coupling: which noise goes with which example of a batch; only with equal conditions is noise exchanged.
        condition_dropout: part of the training examples whose condition is withheld, for guidance.
        sampler: how `generate` goes from noise to data.
        spacing: where its steps lie.
        num_sampling_steps: how many there are.
        guidance_scale: classifier-free guidance of `generate`: 0 unconditional, 1 conditional, more: stronger.
        likelihood_ode: how `log_prob` is computed.
        variance: variance of ancestral steps, and of the bound.
        bound: the levels of the data, for the variational bound.
        has_self_conditioning: whether the network also sees an estimate of the data that it has made itself (Chen et
            al. 2022, arXiv:2208.04202), which takes two passes for every evaluation.
    """

    network: DenoiserConfig = MLPDenoiserConfig()
    path: PathConfig = LinearPathConfig()
    prediction: PredictionConfig = VelocityPredictionConfig()
    level: LevelConfig = LogSNRLevelConfig()
    times: TimeDistributionConfig = UniformTimesConfig()
    weighting: WeightingConfig = ConstantWeightingConfig()
    coupling: CouplingConfig = IndependentCouplingConfig()
    condition_dropout: Fraction = 0.0
    sampler: SamplerConfig = DDIMSamplerConfig()
    spacing: SpacingConfig = UniformSpacingConfig()
    num_sampling_steps: PositiveInt = 50
    guidance_scale: NonNegativeFloat = 1.0
    likelihood_ode: LikelihoodODEConfig = LikelihoodODEConfig()
    variance: VarianceConfig = FixedSmallVarianceConfig()
    bound: BoundConfig = BoundConfig()
    has_self_conditioning: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_guidance(self, self.condition_dropout, self.guidance_scale)
        if isinstance(self.variance, LearnedRangeVarianceConfig):
            levels = self.path.num_steps if isinstance(self.path, DDPMPathConfig) else None
            if levels is None or self.times != LevelTimesConfig(
                num_levels=levels, low_discrepancy=self.times.low_discrepancy
            ):
                raise ValueError(
                    "a learned variance is that of a step of a table: `path` must be `ddpm` and `times` be `levels`, "
                    f"as many as the path's; got {self.path.kind} and {self.times}"
                )
        if isinstance(self.sampler, ConsistencySamplerConfig):
            raise ValueError(
                "`sampler` of a diffusion model must be one that follows its ODE or SDE, such as `ddim`; got "
                "`consistency`, which needs a model that was trained for it: use the `consistency` model"
            )


@config("ddpm")
class DDPMConfig(DiffusionConfig):
    """Noise prediction on a table of 1,000 levels, ancestral sampling (Ho et al. 2020, arXiv:2006.11239)."""

    path: PathConfig = DDPMPathConfig()
    prediction: PredictionConfig = NoisePredictionConfig()
    times: TimeDistributionConfig = LevelTimesConfig()
    sampler: SamplerConfig = DDIMSamplerConfig(eta=1.0)
    num_sampling_steps: PositiveInt = 1000


@config("ddim")
class DDIMConfig(DiffusionConfig):
    """A DDPM that samples deterministically, in 50 steps (Song et al. 2021, arXiv:2010.02502)."""

    path: PathConfig = DDPMPathConfig()
    prediction: PredictionConfig = NoisePredictionConfig()
    times: TimeDistributionConfig = LevelTimesConfig()


@config("score_sde")
class ScoreSDEConfig(DiffusionConfig):
    """Score prediction in continuous time, weighted as the noise (Song et al. 2021, arXiv:2011.13456)."""

    path: PathConfig = VPPathConfig()
    prediction: PredictionConfig = ScorePredictionConfig()
    weighting: WeightingConfig = SNRWeightingConfig()
    sampler: SamplerConfig = DDIMSamplerConfig(eta=1.0)
    num_sampling_steps: PositiveInt = 500


@config("edm")
class EDMConfig(DiffusionConfig):
    """Preconditioned network, log-normal noise levels, Heun's method (Karras et al. 2022, arXiv:2206.00364)."""

    path: PathConfig = EDMPathConfig()
    prediction: PredictionConfig = EDMPredictionConfig()
    times: TimeDistributionConfig = LogNormalSigmaTimesConfig()
    sampler: SamplerConfig = HeunSamplerConfig()
    spacing: SpacingConfig = KarrasSpacingConfig()
    num_sampling_steps: PositiveInt = 18


@config("flow_matching")
class FlowMatchingConfig(DiffusionConfig):
    """Rectified flow: velocity on the straight path (Liu et al. 2023, arXiv:2209.03003; Lipman et al. 2023)."""
