"""Configs of Gaussian paths: how data turn into noise as time goes from 0 to 1."""

from typing import Literal

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import NonNegativeFloat, PositiveFloat, PositiveInt


def _check_order(name: str, low: float, high: float) -> None:
    if not low < high:
        raise ValueError(f"`{name}_max` must exceed `{name}_min`; got {high} and {low}. Swapped?")


@config()
class PathConfig(Config):
    """x_t = alpha(t) x_0 + sigma(t) noise, with t = 0 data and t = 1 noise."""


@config("vp")
class VPPathConfig(PathConfig):
    """Variance-preserving, alpha^2 = exp(-integral of beta), beta linear in time (Song et al. 2021, arXiv:2011.13456).

    Attributes:
        beta_min: beta at t = 0.
        beta_max: beta at t = 1.
    """

    beta_min: PositiveFloat = 0.1
    beta_max: PositiveFloat = 20.0

    def __post_init__(self) -> None:
        _check_order("beta", self.beta_min, self.beta_max)


@config("sub_vp")
class SubVPPathConfig(PathConfig):
    """The sub-variance-preserving path: alpha as in VP, sigma = 1 - alpha^2 (Song et al. 2021, arXiv:2011.13456).

    Attributes:
        beta_min: beta at t = 0.
        beta_max: beta at t = 1.
    """

    beta_min: PositiveFloat = 0.1
    beta_max: PositiveFloat = 20.0

    def __post_init__(self) -> None:
        _check_order("beta", self.beta_min, self.beta_max)


@config("cosine")
class CosinePathConfig(PathConfig):
    """Variance-preserving, alpha a quarter of a cosine (Nichol & Dhariwal 2021, arXiv:2102.09672, equation 17).

    Attributes:
        offset: the cosine starts so far after its top, as part of its length, so that noise does not begin too slowly.
    """

    offset: NonNegativeFloat = 0.008


@config("sigmoid")
class SigmoidPathConfig(PathConfig):
    """Variance-preserving, alpha^2 a piece of a sigmoid (Jabri et al. 2022, arXiv:2212.11972).

    Attributes:
        start: where on the sigmoid t = 0 lies.
        end: where t = 1 lies.
        temperature: width of the sigmoid.
    """

    start: float = -3.0
    end: float = 3.0
    temperature: PositiveFloat = 1.0

    def __post_init__(self) -> None:
        if not self.start < self.end:
            raise ValueError(f"`end` must exceed `start`; got {self.end} and {self.start}. Swapped?")


@config("ve")
class VEPathConfig(PathConfig):
    """Variance-exploding, alpha = 1, sigma growing geometrically (Song et al. 2021, arXiv:2011.13456).

    Attributes:
        sigma_min: noise at which geometric growth sets in.
        sigma_max: noise at t = 1; about the largest distance of two examples.
    """

    sigma_min: PositiveFloat = 0.01
    sigma_max: PositiveFloat = 50.0

    def __post_init__(self) -> None:
        _check_order("sigma", self.sigma_min, self.sigma_max)


@config("edm")
class EDMPathConfig(PathConfig):
    """alpha = 1, sigma = sigma_max t (Karras et al. 2022, arXiv:2206.00364, whose time is our sigma).

    Attributes:
        sigma_min: least noise that samplers and losses use.
        sigma_max: noise at t = 1.
    """

    sigma_min: PositiveFloat = 0.002
    sigma_max: PositiveFloat = 80.0

    def __post_init__(self) -> None:
        _check_order("sigma", self.sigma_min, self.sigma_max)


@config("linear")
class LinearPathConfig(PathConfig):
    """The straight line alpha = 1 - t, sigma = t of rectified flow and flow matching.

    Sources: Liu et al. 2023, arXiv:2209.03003; Lipman et al. 2023, arXiv:2210.02747 (whose time runs the other way).
    """


@config("trigonometric")
class TrigonometricPathConfig(PathConfig):
    """alpha = cos(pi t / 2), sigma = sin(pi t / 2) (Albergo & Vanden-Eijnden 2023, arXiv:2209.15571)."""


@config("ddpm")
class DDPMPathConfig(PathConfig):
    """The classical table of discrete steps; between them log-SNR is interpolated.

    Step i = 0, ..., num_steps - 1 lies at t = (i + 1) / num_steps, where alpha^2 is the product of 1 - beta up to i.
    Sources: Ho et al. 2020, arXiv:2006.11239; cosine: Nichol & Dhariwal 2021, arXiv:2102.09672; scaled linear:
    Rombach et al. 2022, arXiv:2112.10752.

    Attributes:
        num_steps: number of noise levels.
        betas: how beta goes with the step; `linear` and `scaled_linear` (linear in its root) use the two ends.
        beta_start: beta of the first step.
        beta_end: beta of the last step.
        beta_limit: largest beta, which `cosine` would exceed.
    """

    num_steps: PositiveInt = 1000
    betas: Literal["linear", "scaled_linear", "cosine"] = "linear"
    beta_start: PositiveFloat = 1e-4
    beta_end: PositiveFloat = 0.02
    beta_limit: PositiveFloat = 0.999

    def __post_init__(self) -> None:
        if not self.beta_start < self.beta_end < 1:
            raise ValueError(
                f"`beta_start` < `beta_end` < 1 must hold; got {self.beta_start} and {self.beta_end}"
            )
        if self.beta_limit >= 1:
            raise ValueError(f"`beta_limit` must be below 1; got {self.beta_limit}")
        if self.num_steps < 2:
            raise ValueError(f"`num_steps` must be at least 2; got {self.num_steps}")
