"""Evaluation of models of points in the plane.

    negative_log_likelihood    -(log p(x) + log_det), nats, the density being that of the stored points
    nll_gap                    mean of log p_true - log p_model over the test points: how far the negative
                               log-likelihood is above the entropy, that is KL(truth, model), with less noise than the
                               difference has
    energy_distance            2 E|x - y| - E|x - x'| - E|y - y'| of the model's points and fresh ones, unbiased, in
                               the units of the stored points; mean over groups
    mode_coverage              part of the modes with at least half of their share of the model's points nearby
    high_quality_share         part of the model's points nearby a mode: within three standard deviations of it, where
                               98.9 % of the true points lie

The last two are for mixtures of round Gaussians. What cannot be given is left out, with the reason in
`Evaluation.unavailable`; what is asked for by name and cannot be given is an error.

Sources: Szekely and Rizzo 2013 (energy distance); Srivastava et al. 2017, arXiv:1705.07761, section 4 (the last two,
where a mode counts as found with a single point nearby).
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
from artifex.generative_models.modalities.toy.representations import ToyPoints

METRICS = (
    "negative_log_likelihood",
    "nll_gap",
    "energy_distance",
    "mode_coverage",
    "high_quality_share",
)
_DENSITY = ("negative_log_likelihood", "nll_gap")
_NUM_GROUPS = 8  # of samples, whose energy distances give a standard error
_NEARBY = 3.0  # standard deviations


def evaluate_points(
    model: Any,
    dataset: AbstractDataset,
    *,
    key: Key[Array, ""],
    metrics: Sequence[str] | None = None,
    num_samples: int = 4096,
    batch_size: int = 256,
    max_examples: int | None = None,
) -> Evaluation:
    """Metrics of a model on held-out points and on its own samples.

    Args:
        model: a trained model.
        dataset: points with a representation of this modality. A conditional model gets their conditions, also for
            its samples.
        key: randomness of samples and of estimated densities, and of the choice of `max_examples`.
        metrics: names out of `METRICS`; None: all that the model and the distribution allow.
        num_samples: samples of the model, at least 16.
        batch_size: points at once.
        max_examples: use so many points, chosen at random; None: all.

    Raises:
        LookupError: a metric's name is unknown.
        ValueError: a metric that was asked for cannot be computed; the message says why.
        FloatingPointError: a metric is not finite.
    """
    check_key(key)
    points = dataset.representation
    if not isinstance(points, ToyPoints):
        raise TypeError(f"the data set's representation must be `ToyPoints`; got {type(points).__name__}")
    for name, value, least in (("num_samples", num_samples, 2 * _NUM_GROUPS), ("batch_size", batch_size, 1)):
        if value < least:
            raise ValueError(f"`{name}` must be at least {least}; got {value}")
    obstacles = _obstacles(model, points, dataset)
    names = chosen_metrics(metrics, obstacles, model)
    density_key, sample_key = jax.random.split(key)
    found: dict[str, Estimate] = {}
    if set(names) & set(_DENSITY):
        rows, log_prob, log_det = log_probs(
            model, dataset, batch_size=batch_size, max_examples=max_examples, key=density_key
        )
        log_prob, truth = log_prob + log_det, np.asarray(points.toy.log_prob(rows["x"]), np.float64)
        found["negative_log_likelihood"] = estimate_mean(-log_prob, what="negative_log_likelihood")
        found["nll_gap"] = estimate_mean(truth - log_prob, what="nll_gap")
    if set(names) - set(_DENSITY):
        found |= _sample_metrics(model, dataset, points, num_samples, batch_size, sample_key)
    unavailable = {name: why for name, why in obstacles.items() if why and metrics is None}
    return Evaluation({name: found[name] for name in names}, unavailable)


def _sample_metrics(
    model: Any,
    dataset: AbstractDataset,
    points: ToyPoints,
    num: int,
    chunk_size: int,
    key: Key[Array, ""],
) -> dict[str, Estimate]:
    model_key, fresh_key = jax.random.split(key)
    condition = dataset.rows(np.arange(num) % len(dataset)).get("condition")
    x = model.generate(num, key=model_key, condition=condition, chunk_size=max(chunk_size, 1024))
    samples = points.decode(x)
    fresh = points.toy.sample(num, key=fresh_key)
    size = num // _NUM_GROUPS
    groups = (slice(i * size, (i + 1) * size) for i in range(_NUM_GROUPS))
    distances = np.array([float(_energy_distance(samples[part], fresh[part])) for part in groups])
    mean = estimate_mean(distances, what="energy_distance")
    found = {"energy_distance": Estimate(mean.value, mean.standard_error, num)}
    if points.toy.modes is None:
        return found
    nearest, is_near = _nearest_modes(
        np.asarray(samples, np.float64), points.toy.modes, points.toy.resolution
    )
    counts = np.bincount(nearest[is_near], minlength=len(points.toy.modes))
    coverage = float(np.mean(counts >= 0.5 * num / len(counts)))
    quality = estimate_mean(is_near.astype(np.float64), what="high_quality_share")
    return {**found, "mode_coverage": Estimate(coverage, None, num), "high_quality_share": quality}


_energy_distance = jax.jit(energy_distance_batch)


def _nearest_modes(
    samples: Float[np.ndarray, "n 2"], modes: Float[np.ndarray, "modes 2"], scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest mode of each point, and whether it is near."""
    distances = np.linalg.norm(samples[:, None, :] - modes[None, :, :], axis=-1)
    return distances.argmin(axis=1), distances.min(axis=1) < _NEARBY * scale


def _obstacles(model: Any, points: ToyPoints, dataset: AbstractDataset) -> dict[str, str | None]:
    """Why a metric cannot be computed, or None."""
    obstacles: dict[str, str | None] = dict.fromkeys(METRICS)
    if "condition" in dataset.rows(np.arange(1)):
        obstacles["nll_gap"] = "the model's density is conditional, the known one is not"
    if not isinstance(model, DensityModel):
        obstacles |= dict.fromkeys(_DENSITY, "the model has no density")
    if points.toy.modes is None:
        reason = f"{type(points.toy).__name__} is no mixture of round Gaussians"
        obstacles |= {"mode_coverage": reason, "high_quality_share": reason}
    return obstacles
