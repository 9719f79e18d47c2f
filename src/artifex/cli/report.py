"""Measured values in words."""

from artifex.generative_models.core.evaluation import Evaluation

# What people call the metrics, with the unit; a number at the end of a metric's name takes the place of {}.
_NAMES = {
    "log_prob": "log-likelihood (nats)",
    "elbo": "ELBO (nats)",
    "importance_weighted_bound": "bound from {} importance samples (nats)",
    "bits_per_dimension": "bits per dimension",
    "reconstruction_mse": "reconstruction MSE (pixels in [0, 1])",
    "codebook_perplexity": "codebook perplexity",
    "frechet_distance": "Frechet distance in a classifier's features",
    "class_agreement": "samples read as the class asked for",
}

# Metrics whose absence needs a reason; that a model without codes has no perplexity needs none.
_EXPECTED = ("elbo", "bits_per_dimension")


def evaluation_lines(evaluation: Evaluation | None) -> list[str]:
    """One line for each metric, with its standard error; what one would expect and is missing, with the reason."""
    if evaluation is None:
        return ["no data are held out, so nothing was measured"]
    names = {name: metric_name(name) for name in evaluation}
    width = max(map(len, names.values()), default=0)
    lines = [f"{names[name]:<{width}}   {estimate}" for name, estimate in evaluation.estimates.items()]
    missing = {name: reason for name, reason in evaluation.unavailable.items() if name in _EXPECTED}
    return [*lines, *(f"no {metric_name(name)}: {reason}" for name, reason in missing.items())]


def metric_name(name: str) -> str:
    """What people call a metric."""
    stem, _, number = name.rpartition("_")
    if number.isdigit() and stem in _NAMES:
        return _NAMES[stem].format(number)
    return _NAMES.get(name, name.replace("_", " "))
