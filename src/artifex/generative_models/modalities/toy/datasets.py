"""Data sets of points drawn from toy distributions."""

import jax
import numpy as np

from artifex.data import Dataset, DataSplits
from artifex.data.toys import TorusMixture, make_toy
from artifex.generative_models.core.configuration import ToyDataConfig
from artifex.generative_models.modalities.toy.representations import ToyPoints, standardized

_LEAST = 8  # points, of which a mean and a standard deviation can be taken


def load_points(config: ToyDataConfig) -> DataSplits:
    """Draw the points that a config describes.

    The parts are consecutive pieces of one sequence, training first, so they do not change with the sizes of later
    ones. The representation is that of the training points alone.

    Raises:
        ValueError: too few training points to standardize them, or angles, which cannot be.
    """
    if config.standardize and config.num_examples < _LEAST:
        raise ValueError(
            f"`num_examples` must be at least {_LEAST} to standardize the data; got {config.num_examples}"
        )
    toy = make_toy(config.dataset)
    if config.standardize and isinstance(toy, TorusMixture):
        raise ValueError("angles have no mean and scale to standardize by: set `standardize` to false")
    sizes = (config.num_examples, config.validation_size, config.test_size)
    points, labels = toy.labelled_sample(sum(sizes), key=jax.random.key(config.seed))
    arrays = {"x": np.asarray(points)}
    if config.conditional:
        arrays["condition"] = np.asarray(labels, np.int32)
    train = arrays["x"][: config.num_examples]
    representation = standardized(toy, train) if config.standardize else ToyPoints(toy)
    parts, start = [], 0
    for size in sizes:
        part = {name: array[start : start + size] for name, array in arrays.items()}
        parts.append(Dataset(part, representation) if size else None)
        start += size
    return DataSplits(train=parts[0], validation=parts[1], test=parts[2], representation=representation)
