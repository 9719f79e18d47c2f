"""Config of stochastic interpolants."""

from typing import Literal

from artifex.generative_models.core.configuration.base import config
from artifex.generative_models.core.configuration.diffusion.couplings import (
    CouplingConfig,
    IndependentCouplingConfig,
)
from artifex.generative_models.core.configuration.diffusion.networks import DenoiserConfig, MLPDenoiserConfig
from artifex.generative_models.core.configuration.diffusion.paths import LinearPathConfig, PathConfig
from artifex.generative_models.core.configuration.diffusion.samplers import RungeKutta
from artifex.generative_models.core.configuration.diffusion.training import (
    TimeDistributionConfig,
    UniformTimesConfig,
)
from artifex.generative_models.core.configuration.fields import NonNegativeFloat, PositiveInt
from artifex.generative_models.core.configuration.models import ModelConfig


@config("stochastic_interpolant")
class StochasticInterpolantConfig(ModelConfig):
    """x_t = alpha data + sigma source + bridge_scale sqrt(t (1 - t)) z: from any source to the data.

    With `bridge_scale` above 0 and the coupling `sinkhorn` or `optimal_transport` it is a Schroedinger bridge by
    conditional flow matching (Tong et al. 2023, arXiv:2302.00482, section 3.2.3); with `optimal_transport` and no
    bridge, dynamic optimal transport. Sources: Albergo & Vanden-Eijnden 2023, arXiv:2209.15571; Albergo et al. 2023,
    arXiv:2303.08797.

    Attributes:
        network: from x_t to the velocity and, for a bridge, another one to the noise z.
        path: alpha and sigma, with sigma 1 and alpha 0 at t = 1.
        bridge_scale: standard deviation of the Brownian bridge's noise; 0: none.
        coupling: which source goes with which data; independent: as they are given.
        times: where on the path training examples lie.
        solver: how the way from the source to the data is solved, by its name in diffrax.
        num_sampling_steps: in how many steps.
        eta: noise on the way, for a bridge: 0 an ODE, 1 as much as the Brownian motion of the bridge.
    """

    network: DenoiserConfig = MLPDenoiserConfig()
    path: PathConfig = LinearPathConfig()
    bridge_scale: NonNegativeFloat = 0.0
    coupling: CouplingConfig = IndependentCouplingConfig()
    times: TimeDistributionConfig = UniformTimesConfig()
    solver: Literal["euler"] | RungeKutta = "heun"
    num_sampling_steps: PositiveInt = 30
    eta: NonNegativeFloat = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.eta > 0 and self.bridge_scale == 0:
            raise ValueError(
                "`eta` above 0 needs the score, which only a bridge has: set `bridge_scale` above 0"
            )
