"""The part of `artifex generate` that needs JAX."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from artifex.cli.generate import Options
from artifex.cli.messages import UsageError
from artifex.cli.pictures import save_examples
from artifex.cli.sampling import chosen_sampling, examples
from artifex.generative_models.core.configuration import ModelConfig
from artifex.generative_models.modalities import load_representation
from artifex.generative_models.zoo import load_run
from artifex.utils.files import atomic_path


def generate(options: Options) -> None:
    """Generate and write the file, whole or not at all."""
    experiment, model = load_run(options.run_dir, step=options.step)
    condition = conditions(experiment.model, options.condition, options.n)
    given = {"key": jax.random.key(options.seed), "condition": condition, "chunk_size": options.chunk_size}
    x = _means(model, options, given) if options.mean else examples(model, options.n, options, given)
    representation = load_representation(experiment.data)
    if options.out.suffix == ".png":
        save_examples(options.out, x, representation, key=jax.random.key(options.seed))
        return
    arrays: dict[str, Any] = {"x": np.asarray(representation.decode(x))}
    if condition is not None:
        arrays["condition"] = np.asarray(condition)
    with atomic_path(options.out) as temporary:
        np.savez_compressed(temporary, **arrays)


def _means(model: Any, options: Options, given: Mapping[str, Any]) -> Any:
    """Means of new examples."""
    if words := chosen_sampling(options):
        raise UsageError(f"--mean and {', '.join(words)} exclude each other")
    if not hasattr(model, "generate_mean"):
        raise UsageError(f"{type(model).__name__} has no means of examples: leave out --mean")
    return model.generate_mean(options.n, **given)


def conditions(config: ModelConfig, given: tuple[str, ...], num: int) -> Any:
    """Conditions of `num` examples from what the command line gave; None for an unconditional model."""
    if config.condition_size == 0:
        if given:
            raise UsageError("the model is unconditional, so --condition has no meaning for it")
        return None
    if len(given) == 1 and given[0].endswith(".npy"):
        return _from_file(Path(given[0]), config, num)
    if config.num_classes is None:
        raise UsageError(
            f"the model's conditions are arrays of shape {config.condition_shape}: give --condition FILE.npy"
        )
    try:
        labels = np.array([int(text) for text in given], np.int32)
    except ValueError:
        raise UsageError(f"--condition takes class labels or one .npy file; got {' '.join(given)}") from None
    if not given:
        labels = np.arange(config.num_classes, dtype=np.int32)
    if labels.min() < 0 or labels.max() >= config.num_classes:
        raise UsageError(f"class labels lie in [0, {config.num_classes}); got {' '.join(given)}")
    return np.resize(labels, num)


def _from_file(path: Path, config: ModelConfig, num: int) -> np.ndarray:
    """Conditions from a file: as many as examples, or one for all."""
    if not path.is_file():
        raise FileNotFoundError(f"no file of conditions at {path}")
    array = np.load(path, allow_pickle=False)
    shape = config.condition_shape or ()
    if array.shape == shape:
        array = np.broadcast_to(array, (num, *shape))
    if array.shape != (num, *shape):
        raise UsageError(f"{path} must hold an array of shape {(num, *shape)} or {shape}; got {array.shape}")
    return array
