"""Configs of how a diffusion model's loss looks at time: which times it draws, and how it weighs them."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import NonNegativeFloat, PositiveFloat, PositiveInt


@config()
class TimeDistributionConfig(Config):
    """Where on the path training examples lie.

    Attributes:
        low_discrepancy: spread the times of a batch evenly, with one random shift for all (Kingma et al. 2021,
            arXiv:2107.00630, appendix I.1), which lowers the noise of the loss.
    """

    low_discrepancy: bool = False


@config("uniform")
class UniformTimesConfig(TimeDistributionConfig):
    """All times alike."""


@config("levels")
class LevelTimesConfig(TimeDistributionConfig):
    """The levels of a table, all alike: t = 1 / N, ..., 1.

    Attributes:
        num_levels: N.
    """

    num_levels: PositiveInt = 1000


@config("logit_normal")
class LogitNormalTimesConfig(TimeDistributionConfig):
    """t = sigmoid(normal): more in the middle (Esser et al. 2024, arXiv:2403.03206, section 3.1).

    Attributes:
        mean: of the normal; positive means more noise.
        std: of the normal.
    """

    mean: float = 0.0
    std: PositiveFloat = 1.0


@config("log_normal_sigma")
class LogNormalSigmaTimesConfig(TimeDistributionConfig):
    """log(sigma / alpha) normal (Karras et al. 2022, arXiv:2206.00364, table 1).

    Attributes:
        mean: P_mean.
        std: P_std.
    """

    mean: float = -1.2
    std: PositiveFloat = 1.2


@config()
class WeightingConfig(Config):
    """Weight of the squared error at a time."""


@config("constant")
class ConstantWeightingConfig(WeightingConfig):
    """One, on the error of what the network puts out: DDPM's simple loss, flow matching's, and EDM's."""


@config("snr")
class SNRWeightingConfig(WeightingConfig):
    """The signal-to-noise ratio, on the error of the data: the same as one on the error of the noise."""


@config("min_snr")
class MinSNRWeightingConfig(WeightingConfig):
    """min(SNR, gamma) on the error of the data (Hang et al. 2023, arXiv:2303.09556).

    Attributes:
        gamma: where the ratio is cut off.
    """

    gamma: PositiveFloat = 5.0


@config("p2")
class P2WeightingConfig(WeightingConfig):
    """SNR / (k + SNR)^gamma on the error of the data (Choi et al. 2022, arXiv:2204.00227).

    Attributes:
        gamma: strength; 0 is SNR weighting.
        k: where the weight turns over.
    """

    gamma: NonNegativeFloat = 1.0
    k: PositiveFloat = 1.0
