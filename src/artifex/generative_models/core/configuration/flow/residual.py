"""Configs of residual layers and flows, x + g(x) with a contraction g."""

from typing import Annotated

from pydantic import Field

from artifex.generative_models.core.configuration.base import Config, config
from artifex.generative_models.core.configuration.fields import NonNegativeInt, PositiveInt
from artifex.generative_models.core.configuration.flow.bijections import BijectionConfig
from artifex.generative_models.core.configuration.flow.models import FlowConfig

OpenUnitFloat = Annotated[float, Field(gt=0.0, lt=1.0)]


@config("russian_roulette")
class RussianRouletteConfig(Config):
    """An unbiased estimate of log |det(I + dg/dx)| by a power series of random length (Chen et al. 2019).

    Attributes:
        num_exact_terms: terms that are always there.
        stop_probability: of ending after each further term, whose weight makes up for those that end before. Large
            values cost less and vary more; the variance is finite where the square of the Lipschitz constant is
            below 1 - `stop_probability`.
    """

    num_exact_terms: NonNegativeInt = 4
    stop_probability: OpenUnitFloat = 0.3


@config("residual")
class ResidualConfig(BijectionConfig):
    """From data y to latent, x = y + g(y), g an MLP whose Lipschitz constant is below 1.

    The other direction takes an iteration.

    Attributes:
        hidden_size: width of g.
        num_layers: its hidden layers.
        lipschitz: bound of g's Lipschitz constant.
        estimator: how training estimates the log-determinant; null: it is exact, by the Jacobian. Densities are
            always exact.
    """

    hidden_size: PositiveInt = 64
    num_layers: PositiveInt = 2
    lipschitz: OpenUnitFloat = 0.9
    estimator: RussianRouletteConfig | None = None


@config("residual_flow")
class ResidualFlowConfig(FlowConfig):
    """Residual layers with a scale and a shift after each, on the flattened example.

    Source: Behrmann et al. 2019 (i-ResNet), arXiv:1811.00995; Chen et al. 2019 (residual flows), arXiv:1906.02735.

    Attributes:
        num_layers: how many.
        hidden_size: width of the network in each.
        num_hidden_layers: hidden layers of that network.
        lipschitz: bound of its Lipschitz constant.
        estimator: how training estimates log-determinants; null: they are exact, by the Jacobian, whose cost grows
            with the cube of the number of entries. Densities are always exact.
    """

    num_layers: PositiveInt = 8
    hidden_size: PositiveInt = 64
    num_hidden_layers: PositiveInt = 2
    lipschitz: OpenUnitFloat = 0.9
    estimator: RussianRouletteConfig | None = RussianRouletteConfig()
