"""What a model promises."""

from artifex.generative_models.core.protocols.evaluation import (
    HasCodes,
    HasCostlyMetrics,
    HasDataLevels,
    HasELBO,
    HasImportanceWeightedBound,
    HasLikelihood,
    HasSupport,
)
from artifex.generative_models.core.protocols.initialization import InitializesFromData
from artifex.generative_models.core.protocols.latents import SpatialAutoencoder
from artifex.generative_models.core.protocols.models import (
    DenoisingModel,
    DensityModel,
    GenerativeModel,
    HasSamplers,
    LatentModel,
    Trainable,
)
from artifex.generative_models.core.protocols.outputs import LossOutput
from artifex.generative_models.core.protocols.paths import GaussianPath
from artifex.generative_models.core.protocols.pretraining import TakesPretrained
