"""Configs of diffusion models of tokens, which are integers without an order."""

from typing import Annotated

from pydantic import Field

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import (
    Fraction,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
)
from artifex.generative_models.core.configuration.models import ModelConfig, check_guidance
from artifex.generative_models.core.configuration.networks import Activation


@config()
class TokenScheduleConfig(Config):
    """alpha(t), the probability that a token is still there at time t: 1 at t = 0, the data."""


@config("linear")
class LinearTokenScheduleConfig(TokenScheduleConfig):
    """alpha = 1 - t."""


@config("cosine")
class CosineTokenScheduleConfig(TokenScheduleConfig):
    """alpha = 1 - cos((1 - t) pi / 2): few tokens appear in the first steps (Shi et al. 2024, arXiv:2406.04329)."""


@config("polynomial")
class PolynomialTokenScheduleConfig(TokenScheduleConfig):
    """alpha = 1 - t^exponent (Shi et al. 2024, arXiv:2406.04329).

    Attributes:
        exponent: 1 is linear.
    """

    exponent: PositiveFloat = 2.0


@config("log_linear")
class LogLinearTokenScheduleConfig(TokenScheduleConfig):
    """alpha = 1 - (1 - epsilon) t, so -log alpha stays finite (Lou et al. 2024, arXiv:2310.16834; MDLM's too).

    Attributes:
        epsilon: alpha at t = 1.
    """

    epsilon: Annotated[float, Field(gt=0.0, lt=1.0)] = 1e-3


@config()
class TokenDenoiserConfig(Config):
    """Network from noisy tokens, their noise level and a condition to logits of every token."""


@config("mlp")
class TokenMLPConfig(TokenDenoiserConfig):
    """Residual MLP on all tokens at once, for a few dozen of them at most.

    Attributes:
        hidden_size: width.
        num_layers: residual blocks.
        activation: nonlinearity.
    """

    hidden_size: PositiveInt = 128
    num_layers: PositiveInt = 3
    activation: Activation = "silu"


@config("transformer")
class TokenTransformerConfig(TokenDenoiserConfig):
    """Transformer in which every token sees all others; noise level and condition modulate every block.

    Attributes:
        hidden_size: width, a multiple of 4 and of `num_heads`.
        num_layers: transformer blocks.
        num_heads: attention heads of each.
        mlp_ratio: width of each block's MLP, in units of `hidden_size`.
    """

    hidden_size: PositiveInt = 128
    num_layers: PositiveInt = 4
    num_heads: PositiveInt = 4
    mlp_ratio: PositiveInt = 4

    def __post_init__(self) -> None:
        if self.hidden_size % 4 or self.hidden_size % self.num_heads:
            raise ValueError(
                f"`hidden_size` must be divisible by 4 and by `num_heads`; got {self.hidden_size} and "
                f"{self.num_heads} heads"
            )


@config()
class TokenDiffusionConfig(ModelConfig):
    """Model = process x schedule x network; the process, masked or uniform, is the config's kind.

    Attributes:
        vocab_size: tokens are integers in [0, vocab_size).
        network: what predicts the tokens.
        schedule: how fast they get lost.
        low_discrepancy: spread the times of a training batch evenly, with one random shift for all.
        condition_dropout: part of the training examples whose condition is withheld, for guidance.
        guidance_scale: classifier-free guidance of `generate`: 0 unconditional, 1 conditional, more: stronger.
        num_sampling_steps: equal steps in time of `generate`.
        log_prob_samples: noisy examples over which `log_prob` takes the mean of its bound.
    """

    vocab_size: Annotated[int, Field(ge=2)] = 17
    network: TokenDenoiserConfig = TokenTransformerConfig()
    schedule: TokenScheduleConfig = LinearTokenScheduleConfig()
    low_discrepancy: bool = True
    condition_dropout: Fraction = 0.0
    guidance_scale: NonNegativeFloat = 1.0
    num_sampling_steps: PositiveInt = 256
    log_prob_samples: PositiveInt = 32

    def __post_init__(self) -> None:
        super().__post_init__()
        check_guidance(self, self.condition_dropout, self.guidance_scale)

    @property
    def support(self) -> str:
        """What the entries of an example are, in the words of `Representation.support`."""
        return "tokens"


@config("masked_diffusion")
class MaskedDiffusionConfig(TokenDiffusionConfig):
    """Lost tokens become masks, and come back for good (Sahoo et al. 2024, arXiv:2406.07524)."""


@config("uniform_diffusion")
class UniformDiffusionConfig(TokenDiffusionConfig):
    """Lost tokens become any token, and may change often (Schiff et al. 2024, arXiv:2412.10193)."""
