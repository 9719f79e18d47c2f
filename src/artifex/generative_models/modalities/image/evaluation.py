"""Evaluation of models of pictures.

    log_prob                        log p(x) of a model with a density, nats
    elbo                            evidence lower bound of log p(x), nats
    importance_weighted_bound_k     the same from k importance samples
    bits_per_dimension              -(log p + log_det) / (D log 2), with D the number of stored pixels times channels
                                    and log p the best of the three above that is asked for, else what takes least
    reconstruction_mse              mean squared error of `decode(reconstruct(x))` against `decode(x)`, pixels in [0, 1]
    codebook_perplexity             exp of the entropy of the codes over the whole set (mean over levels)

What a model cannot give is left out, with the reason in `Evaluation.unavailable`, and so is what takes long, unless it
is asked for by name; what is asked for by name and cannot be given is an error.
"""

from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from artifex.data import AbstractDataset
from artifex.generative_models.core.evaluation import Evaluation, code_perplexity, estimate_mean
from artifex.generative_models.core.random import check_key
from artifex.generative_models.modalities.image.availability import METRICS, Available
from artifex.generative_models.modalities.image.representations import AbstractImageRepresentation
from artifex.generative_models.modalities.selection import chosen_metrics, padded_batches


def evaluate_images(
    model: Any,
    dataset: AbstractDataset,
    *,
    key: Key[Array, ""],
    metrics: Sequence[str] | None = None,
    num_importance_samples: int = 64,
    batch_size: int = 256,
    max_examples: int | None = None,
) -> Evaluation:
    """Metrics of a model on held-out pictures, each a mean over them with its standard error.

    Args:
        model: a trained model.
        dataset: pictures with a representation of this modality.
        key: randomness of bounds and representations, and of the choice of `max_examples`.
        metrics: names out of `METRICS`; None: all that the model supports and that do not take long, maybe none.
        num_importance_samples: k of the importance-weighted bound.
        batch_size: pictures at once.
        max_examples: use so many pictures, chosen at random; None: all.

    Raises:
        LookupError: a metric's name is unknown.
        ValueError: a metric that was asked for cannot be computed; the message says why.
        FloatingPointError: a metric is not finite.
    """
    check_key(key)
    representation = dataset.representation
    if not isinstance(representation, AbstractImageRepresentation):
        raise TypeError(
            f"the data set's representation must be one of pictures; got {type(representation).__name__}. Give "
            "the data set one, such as Dataset(arrays, UnitInterval(num_levels=256))."
        )
    for name, value in (("num_importance_samples", num_importance_samples), ("batch_size", batch_size)):
        if value < 1:
            raise ValueError(f"`{name}` must be at least 1; got {value}")
    available = Available(model, representation)
    left_out = available.left_out()
    default = [name for name in METRICS if name not in left_out]
    names = chosen_metrics(metrics, available.obstacles, model, default=default)
    if not names:  # a model that only generates
        return Evaluation({}, left_out)
    subset_key, data_key, model_key = jax.random.split(key, 3)
    source = available.bits_source(names)
    columns = _Columns(model, dataset, names, source, num_importance_samples, data_key)
    for start, positions, count in padded_batches(len(dataset), batch_size, max_examples, key=subset_key):
        columns.add(positions, count, key=jax.random.fold_in(model_key, start))
    return Evaluation(columns.estimates(), left_out if metrics is None else {})


class _Columns:
    """Values of each example, collected batch by batch."""

    def __init__(
        self,
        model: Any,
        dataset: AbstractDataset,
        names: Sequence[str],
        bits_source: str,
        num_importance_samples: int,
        data_key: Key[Array, ""],
    ):
        self._model = model
        self._dataset = dataset
        self._names = names
        self._bits_source = bits_source
        self._k = num_importance_samples
        self._data_key = data_key
        self._parts: dict[str, list[np.ndarray]] = {}

    def add(self, positions: np.ndarray, count: int, *, key: Key[Array, ""]) -> None:
        """Evaluate a batch and keep its first `count` rows."""
        batch = self._dataset.batch(positions, key=self._data_key)
        x, condition = batch["x"], batch.get("condition")
        elbo_key, weighted_key, density_key = jax.random.split(key, 3)
        needed = {*self._names, *([self._bits_source] if "bits_per_dimension" in self._names else [])}
        new: dict[str, Any] = {}
        if "log_prob" in needed:
            new["log_prob"] = self._model.log_prob(x, condition=condition, key=density_key)
        if "elbo" in needed:
            new["elbo"] = self._model.elbo(x, condition, key=elbo_key)
        if "importance_weighted_bound" in needed:
            new["importance_weighted_bound"] = self._model.importance_weighted_bound(
                x, condition, key=weighted_key, num_samples=self._k
            )
        if "bits_per_dimension" in self._names:
            new["bits_per_dimension"] = self._bits(new[self._bits_source], positions)
        if "reconstruction_mse" in self._names:
            new["reconstruction_mse"] = self._squared_error(x, self._model.reconstruct(x, condition))
        if "codebook_perplexity" in self._names:
            codes = np.asarray(self._model.encode(x, condition))
            levels = codes.shape[1] if codes.ndim == 4 else 1
            new["codebook_perplexity"] = codes.reshape(len(codes), levels, -1)
        for name, values in new.items():
            self._parts.setdefault(name, []).append(np.asarray(values)[:count])

    def estimates(self) -> dict[str, Any]:
        """Means over all examples."""
        found = {}
        for name in self._names:
            values = np.concatenate(self._parts[name])
            if name == "codebook_perplexity":
                found[name] = code_perplexity(values, self._model.num_codes)
            elif name == "importance_weighted_bound":
                found[f"{name}_{self._k}"] = estimate_mean(values, what=name)
            else:
                found[name] = estimate_mean(values, what=name)
        return found

    def _bits(self, log_prob: Array, positions: np.ndarray) -> np.ndarray:
        data = self._dataset.rows(positions)["x"]
        keys = self._dataset.keys(positions, key=self._data_key)
        log_det = self._dataset.representation.log_det(data, key=keys)
        return -(np.asarray(log_prob, np.float64) + np.asarray(log_det, np.float64)) / (
            data[0].size * np.log(2.0)
        )

    def _squared_error(self, x: Array, reconstruction: Array) -> np.ndarray:
        representation: Any = self._dataset.representation
        seen, made = (
            np.asarray(representation.decode(pictures), np.float64) / (representation.num_levels - 1)
            for pictures in (x, reconstruction)
        )
        return np.mean((seen - made) ** 2, axis=tuple(range(1, seen.ndim)))
