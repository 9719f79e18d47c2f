"""Evaluation of models of rows of numbers.

    log_prob           log p(x) of the row as the model sees it, nats: of standardized columns, as published tables
                       have it, where the representation standardizes
    log_prob_stored    log p(x) + log_det, nats: of the row as it is stored
    energy_distance    2 E|x - y| - E|x - x'| - E|y - y'| of the model's rows and held-out ones, as the model sees
                       them, unbiased; mean over groups
    correlation_error  root mean square of the differences between the correlations of columns in the model's rows and
                       in the held-out ones

What cannot be given is left out, with the reason in `Evaluation.unavailable`; what is asked for by name and cannot be
given is an error.

Source: Szekely and Rizzo 2013 (energy distance).
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Float, Key

from artifex.data import AbstractDataset
from artifex.generative_models.core.evaluation import Estimate, Evaluation, estimate_mean
from artifex.generative_models.core.losses import energy_distance_batch
from artifex.generative_models.core.protocols import DensityModel
from artifex.generative_models.core.random import check_key
from artifex.generative_models.modalities.selection import chosen_metrics, log_probs
from artifex.generative_models.modalities.tabular.representations import TableRows

METRICS = ("log_prob", "log_prob_stored", "energy_distance", "correlation_error")
_DENSITY = ("log_prob", "log_prob_stored")
_NUM_GROUPS = 8  # of rows, whose energy distances give a standard error


def evaluate_rows(
    model: Any,
    dataset: AbstractDataset,
    *,
    key: Key[Array, ""],
    metrics: Sequence[str] | None = None,
    num_samples: int = 4096,
    batch_size: int = 512,
    max_examples: int | None = None,
) -> Evaluation:
    """Metrics of a model on held-out rows and on its own samples.

    Args:
        model: a trained model.
        dataset: rows with a representation of this modality. A conditional model gets their conditions, also for
            its samples.
        key: randomness of samples and of estimated densities, and of the choice of `max_examples`.
        metrics: names out of `METRICS`; None: all that the model and the data allow.
        num_samples: samples of the model, at least 16, and at most as many held-out rows beside them.
        batch_size: rows at once.
        max_examples: take the densities of so many rows, chosen at random; None: all.

    Raises:
        LookupError: a metric's name is unknown.
        ValueError: a metric that was asked for cannot be computed; the message says why.
        FloatingPointError: a metric is not finite.
    """
    check_key(key)
    if not isinstance(dataset.representation, TableRows):
        raise TypeError(
            f"the data set's representation must be `TableRows`; got {type(dataset.representation).__name__}"
        )
    for name, value, least in (("num_samples", num_samples, 2 * _NUM_GROUPS), ("batch_size", batch_size, 1)):
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}; got {value}")
    obstacles = _obstacles(model, dataset)
    names = chosen_metrics(metrics, obstacles, model)
    density_key, sample_key = jax.random.split(key)
    found: dict[str, Estimate] = {}
    if set(names) & set(_DENSITY):
        _, log_prob, log_det = log_probs(
            model, dataset, batch_size=batch_size, max_examples=max_examples, key=density_key
        )
        found["log_prob"] = estimate_mean(log_prob, what="log_prob")
        found["log_prob_stored"] = estimate_mean(log_prob + log_det, what="log_prob_stored")
    if set(names) - set(_DENSITY):
        found |= _sample_metrics(model, dataset, num_samples, batch_size, sample_key)
    unavailable = {name: why for name, why in obstacles.items() if why and metrics is None}
    return Evaluation({name: found[name] for name in names}, unavailable)


def _sample_metrics(
    model: Any, dataset: AbstractDataset, num: int, chunk_size: int, key: Key[Array, ""]
) -> dict[str, Estimate]:
    row_key, data_key, model_key = jax.random.split(key, 3)
    num = min(num, len(dataset))
    chosen = np.asarray(jax.random.permutation(row_key, len(dataset)))[:num]
    batch = dataset.batch(chosen, key=data_key)
    held_out = np.asarray(batch["x"])
    made = model.generate(
        num, key=model_key, condition=batch.get("condition"), chunk_size=max(chunk_size, 1024)
    )
    made = np.asarray(made)
    size = num // _NUM_GROUPS
    groups = [slice(i * size, (i + 1) * size) for i in range(_NUM_GROUPS)]
    distances = np.array([float(_energy_distance(made[part], held_out[part])) for part in groups])
    mean = estimate_mean(distances, what="energy_distance")
    found = {"energy_distance": Estimate(mean.value, mean.standard_error, num)}
    if held_out.shape[1] > 1:
        found["correlation_error"] = Estimate(_correlation_error(made, held_out), None, num)
    return found


_energy_distance = jax.jit(energy_distance_batch)


def _correlation_error(made: Float[np.ndarray, "n d"], held_out: Float[np.ndarray, "n d"]) -> float:
    above = np.triu_indices(made.shape[1], 1)
    difference = np.corrcoef(made.T)[above] - np.corrcoef(held_out.T)[above]
    return float(np.sqrt(np.mean(difference**2)))


def _obstacles(model: Any, dataset: AbstractDataset) -> dict[str, str | None]:
    """Why a metric cannot be computed, or None."""
    obstacles: dict[str, str | None] = dict.fromkeys(METRICS)
    if not isinstance(model, DensityModel):
        obstacles |= dict.fromkeys(_DENSITY, "the model has no density")
    if len(dataset) < 2 * _NUM_GROUPS:
        reason = f"it needs {2 * _NUM_GROUPS} held-out rows; there are {len(dataset)}"
        obstacles |= {"energy_distance": reason, "correlation_error": reason}
    elif dataset.rows(np.arange(1))["x"].shape[1] < 2:
        obstacles["correlation_error"] = "there is one column only"
    return obstacles
