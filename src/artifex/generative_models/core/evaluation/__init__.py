"""Evaluation: metrics with their standard errors."""

from artifex.generative_models.core.evaluation.calibration import (
    Calibration,
    calibration_of_draws,
    simulation_based_calibration,
)
from artifex.generative_models.core.evaluation.codes import code_perplexity
from artifex.generative_models.core.evaluation.frechet import frechet_distance
from artifex.generative_models.core.evaluation.results import Estimate, Evaluation, estimate_mean
