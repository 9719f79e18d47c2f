"""Configs of which noise goes with which data in a training batch."""

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import PositiveFloat, PositiveInt


@config()
class CouplingConfig(Config):
    """How the noise of a batch is dealt out to its examples.

    Whatever depends on the data leaves the probability-flow ODE right, but not samplers that add noise on the way:
    sample with `ddim` at eta 0, `heun` without churn, `dpm_solver_multistep`, `ode`, ...
    """


@config("independent")
class IndependentCouplingConfig(CouplingConfig):
    """As it comes."""


@config("optimal_transport")
class OptimalTransportCouplingConfig(CouplingConfig):
    """Dealt out so that the sum of squared distances between data and noise is least, which straightens paths.

    The exact assignment, in time proportional to the third power of the batch size (Pooladian et al. 2023,
    arXiv:2304.14772; Tong et al. 2023, arXiv:2302.00482).
    """


@config("sinkhorn")
class SinkhornCouplingConfig(CouplingConfig):
    """For each example a noise drawn from the entropic plan, between the independent coupling and the optimal one.

    Attributes:
        regularization: weight of the entropy, as part of the mean squared distance of a pair; large: independent.
        num_iterations: Sinkhorn iterations.
    """

    regularization: PositiveFloat = 0.05
    num_iterations: PositiveInt = 100
