"""Evaluation: metrics with their standard errors."""

from artifex.generative_models.core.evaluation.codes import code_perplexity
from artifex.generative_models.core.evaluation.frechet import frechet_distance
from artifex.generative_models.core.evaluation.results import Estimate, Evaluation, estimate_mean
