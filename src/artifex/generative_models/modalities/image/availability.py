"""Which metrics of pictures a model can give, and why not the others.

Bits are those of a code for the stored data, so the probability that they come from must be one of what the
representation gives: of numbers with a density, of equally spaced levels, of black and white, of integers.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from artifex.generative_models.core.configuration import DiscretizedLogisticConfig
from artifex.generative_models.core.protocols import (
    DensityModel,
    HasCodes,
    HasCostlyMetrics,
    HasDataLevels,
    HasELBO,
    HasImportanceWeightedBound,
    HasLikelihood,
    HasSupport,
    LatentModel,
)
from artifex.generative_models.modalities.image.representations import AbstractImageRepresentation

METRICS = (
    "log_prob",
    "elbo",
    "importance_weighted_bound",
    "bits_per_dimension",
    "reconstruction_mse",
    "codebook_perplexity",
)
# What bits can come from, best first.
_SOURCES = ("log_prob", "importance_weighted_bound", "elbo")

_WORDS = {
    "binary": "black and white pixels",
    "levels": "equally spaced levels",
    "real": "real numbers",
    "tokens": "integers",
    "unknown": "pixels of an unknown kind",
}

_FIXES = {
    "real": ". The representations `dequantized` and `logit` give real numbers",
    "levels": ". The representations `unit_interval` and `symmetric` give levels",
    "tokens": ". The representation `discrete` gives integers",
}


class Available:
    """What a model can give for pictures in a representation.

    Attributes:
        obstacles: why a metric cannot be computed, by name; None: it can.
        costly: what the metrics take that are computed only where they are asked for.
    """

    obstacles: Mapping[str, str | None]
    costly: Mapping[str, str]

    def __init__(self, model: Any, representation: AbstractImageRepresentation):
        """Look at a model and a representation."""
        bounded = _no_bits_of_bound(model, representation)
        self._bits = {
            "log_prob": _no_log_prob(model, representation),
            "importance_weighted_bound": _no_weighted_bound(model) or bounded,
            "elbo": _no_bound(model, representation) or bounded,
        }
        can_give_bits = any(reason is None for reason in self._bits.values())
        # A model without a bound is told what its density needs, one without a density what its bound needs.
        about = "log_prob" if isinstance(model, DensityModel) and not isinstance(model, HasELBO) else "elbo"
        self.obstacles = {
            "log_prob": self._bits["log_prob"],
            "elbo": _no_bound(model, representation),
            "importance_weighted_bound": _no_weighted_bound(model),
            "bits_per_dimension": None if can_give_bits else self._bits[about],
            "reconstruction_mse": _no_reconstruction(model),
            "codebook_perplexity": _no_codes(model),
        }
        self.costly = dict(model.costly_metrics) if isinstance(model, HasCostlyMetrics) else {}

    def left_out(self) -> dict[str, str]:
        """Metrics that nobody gets without asking, with the reason."""
        reasons = {name: why for name, why in self.obstacles.items() if why}
        costly = {name: why for name, why in self.costly.items() if name not in reasons}
        cheap_sources = [name for name in _SOURCES if self._bits[name] is None and name not in costly]
        if "bits_per_dimension" not in reasons and not cheap_sources:
            source = self.bits_source(["bits_per_dimension"])
            costly["bits_per_dimension"] = costly[source]
        asked = {name: f"it {why}: ask for it by name" for name, why in costly.items()}
        return {name: (reasons | asked)[name] for name in METRICS if name in reasons | asked}

    def bits_source(self, names: Sequence[str]) -> str:
        """What bits come from, given the metrics that are asked for: the best of them, else what takes least."""
        can_serve = [name for name in _SOURCES if self._bits[name] is None]
        asked = [name for name in can_serve if name in names]
        cheap = [name for name in can_serve if name not in self.costly]
        return [*asked, *cheap[-1:], *can_serve, "elbo"][0]


def _no_log_prob(model: Any, representation: AbstractImageRepresentation) -> str | None:
    if not isinstance(model, DensityModel):
        return "the model has no log p(x)"
    if model.log_prob_kind == "lower bound":
        return "its log p(x) is a lower bound, for which see the other metrics"
    likelihood = model.config.likelihood if isinstance(model.config, HasLikelihood) else None  # pyright: ignore[reportAttributeAccessIssue]
    support = "real" if likelihood is None else likelihood.support
    if support != representation.support:
        return _another_support(f"{type(model).__name__}'s density", support, representation)
    return None


def _no_bound(model: Any, representation: AbstractImageRepresentation) -> str | None:
    if not isinstance(model, HasELBO):
        return "the model has no lower bound of log p(x)"
    if not isinstance(model, HasDataLevels):
        return None
    if representation.support != "levels":
        return _another_support(f"the bound of {type(model).__name__}", "levels", representation)
    return _other_levels("the bound", model.data_levels, representation)


def _no_weighted_bound(model: Any) -> str | None:
    return None if isinstance(model, HasImportanceWeightedBound) else "the model has no importance samples"


def _no_bits_of_bound(model: Any, representation: AbstractImageRepresentation) -> str | None:
    if isinstance(model, HasDataLevels):
        return None  # where there is a bound at all, it is one of the data's levels
    if isinstance(model.config, HasSupport):
        if model.config.support == representation.support:
            return None
        return _another_support(f"{type(model).__name__}'s bound", model.config.support, representation)
    if not isinstance(model.config, HasLikelihood):
        return "the model's config does not say which likelihood it has"
    likelihood = model.config.likelihood
    if likelihood.support != representation.support:
        return _another_support(f"a {likelihood.kind} likelihood", likelihood.support, representation)
    if not isinstance(likelihood, DiscretizedLogisticConfig):
        return None
    levels = (likelihood.num_levels, likelihood.low, likelihood.high)
    return _other_levels("the likelihood", levels, representation)


def _other_levels(
    what: str, levels: tuple[int, float, float], representation: AbstractImageRepresentation
) -> str | None:
    ends = np.array([0, representation.num_levels - 1], np.int32).reshape(2, 1, 1, 1)
    low, high = np.asarray(representation.encode(ends)).reshape(2).tolist()
    if levels == (representation.num_levels, low, high):
        return None
    return (
        f"{what} has {levels[0]} levels from {levels[1]} to {levels[2]}, but the data have {representation.num_levels} "
        f"from {low} to {high}"
    )


def _another_support(what: str, support: str, representation: AbstractImageRepresentation) -> str:
    return (
        f"{what} is one of {_WORDS[support]}, but {type(representation).__name__} gives "
        f"{_WORDS[representation.support]}{_FIXES.get(support, '')}"
    )


def _no_reconstruction(model: Any) -> str | None:
    return None if isinstance(model, LatentModel) else "the model does not reconstruct"


def _no_codes(model: Any) -> str | None:
    return None if isinstance(model, HasCodes) else "the model has no codes"
