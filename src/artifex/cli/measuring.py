"""The part of `artifex evaluate` that needs JAX."""

from typing import Any

import jax

from artifex.cli.evaluate import Options
from artifex.cli.generation import conditions
from artifex.cli.messages import UsageError, say
from artifex.cli.sampling import examples
from artifex.data import AbstractDataset
from artifex.generative_models.core.configuration import Experiment, ImageDataConfig
from artifex.generative_models.core.evaluation import Evaluation
from artifex.generative_models.modalities import evaluate, load_data
from artifex.generative_models.modalities.image import evaluate_samples, train_image_classifier
from artifex.generative_models.zoo import load_run

_CHUNK = 512  # samples at once


def measure(options: Options) -> Evaluation:
    """Metrics of a run's model on data, and of its samples where they are asked for."""
    experiment, model = load_run(options.run_dir, step=options.step)
    if options.num_samples is not None and not isinstance(experiment.data, ImageDataConfig):
        raise UsageError("--num-samples judges pictures, and the run's data are none: leave it out")
    dataset = getattr(load_data(experiment.data), options.split)
    if dataset is None:
        raise ValueError(f"the run's data have no {options.split} part: choose another with --split")
    given = {
        name: value
        for name in ("num_importance_samples", "batch_size", "max_examples")
        if (value := getattr(options, name)) is not None
    }
    say(f"{options.split} data, {min(len(dataset), options.max_examples or len(dataset))} examples")
    key, samples_key = jax.random.key(options.seed), jax.random.key(options.seed + 1)
    evaluation = evaluate(model, dataset, key=key, metrics=list(options.metrics) or None, **given)
    if options.num_samples is None:
        return evaluation
    judged = _judged(experiment, model, dataset, options, options.num_samples, key=samples_key)
    return Evaluation(
        {**evaluation.estimates, **judged.estimates}, {**evaluation.unavailable, **judged.unavailable}
    )


def _judged(
    experiment: Experiment, model: Any, dataset: AbstractDataset, options: Options, num: int, *, key: Any
) -> Evaluation:
    """New examples beside real ones, for a classifier."""
    classifier_key, samples_key = jax.random.split(key)
    say("training a classifier to judge samples by")
    labelled = load_data(experiment.data.replace(conditional=True))
    classifier = train_image_classifier(labelled.train, key=classifier_key)
    labels = conditions(experiment.model, (), num)
    given = {"key": samples_key, "condition": labels, "chunk_size": min(_CHUNK, num)}
    x = examples(model, num, options, given)
    return evaluate_samples(dataset.representation.decode(x), dataset, classifier, labels=labels)
