"""What the evaluations of all modalities share: which metrics, and which examples."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jaxtyping import Array, Key

from artifex.data import AbstractDataset
from artifex.utils.messages import unknown_name


def chosen_metrics(
    metrics: Sequence[str] | None,
    obstacles: Mapping[str, str | None],
    model: Any,
    *,
    default: Sequence[str] | None = None,
) -> list[str]:
    """The metrics to compute, in the order of `obstacles`.

    Args:
        metrics: the names asked for; None: `default`.
        obstacles: for each metric that there is why it cannot be computed, or None.
        model: for the messages.
        default: None: all without an obstacle.

    Raises:
        LookupError: a metric's name is unknown.
        ValueError: a metric that was asked for cannot be computed, or no list of names was given.
    """
    if metrics is None:
        return (
            [name for name, reason in obstacles.items() if not reason] if default is None else list(default)
        )
    if isinstance(metrics, str) or not metrics:
        raise ValueError(f"`metrics` must be a list of names, at least one; got {metrics!r}")
    for name in metrics:
        if name not in obstacles:
            raise LookupError(unknown_name("metric", name, obstacles))
        if reason := obstacles[name]:
            raise ValueError(f"{name} cannot be computed for {type(model).__name__}: {reason}")
    return [name for name in obstacles if name in metrics]


def padded_batches(
    size: int, batch_size: int, max_examples: int | None, *, key: Key[Array, ""]
) -> Iterator[tuple[int, np.ndarray, int]]:
    """Positions in equal batches, so that one compiled program serves all.

    Args:
        size: number of examples.
        batch_size: positions in a batch.
        max_examples: take so many, at random (files are often sorted by class); None: all.
        key: of the choice.

    Yields:
        Where the batch starts, its positions, and how many of them, from the first, count.
    """
    if max_examples is not None and max_examples < 1:
        raise ValueError(f"`max_examples` must be at least 1; got {max_examples}")
    chosen = np.arange(size)
    if max_examples is not None and max_examples < size:
        chosen = np.sort(np.asarray(jax.random.permutation(key, size))[:max_examples])
    batch_size = min(batch_size, len(chosen))
    for start in range(0, len(chosen), batch_size):
        positions = chosen[np.arange(start, start + batch_size) % len(chosen)]
        yield start, positions, min(batch_size, len(chosen) - start)


def log_probs(
    model: Any,
    dataset: AbstractDataset,
    *,
    batch_size: int,
    max_examples: int | None,
    key: Key[Array, ""],
) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Log-densities of examples under a model.

    Returns:
        The stored examples, `log p(x)` of each in the model's coordinates, and what to add to it to get that of the
        stored one; nats, float64.
    """
    subset_key, data_key, model_key = jax.random.split(key, 3)
    representation = dataset.representation
    rows, ours, log_dets = [], [], []
    for start, positions, count in padded_batches(len(dataset), batch_size, max_examples, key=subset_key):
        batch = dataset.batch(positions, key=data_key)
        value = model.log_prob(
            batch["x"], condition=batch.get("condition"), key=jax.random.fold_in(model_key, start)
        )
        stored = dataset.rows(positions)
        keys = dataset.keys(positions, key=data_key) if representation.is_stochastic else None
        log_det = representation.log_det(stored["x"], key=keys)
        rows.append(jax.tree.map(lambda leaf, count=count: leaf[:count], stored))
        ours.append(np.asarray(value, np.float64)[:count])
        log_dets.append(np.asarray(log_det, np.float64)[:count])
    joined = jax.tree.map(lambda *leaves: np.concatenate(leaves), *rows)
    return joined, np.concatenate(ours), np.concatenate(log_dets)
