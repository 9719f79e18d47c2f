"""Evaluation of generated pictures, whatever made them.

frechet_distance    to real pictures, in the features of a classifier
class_agreement     part of the pictures in which the classifier reads the class that was asked for
"""

from typing import Any

import numpy as np
from jaxtyping import Integer

from artifex.data import AbstractDataset
from artifex.generative_models.core.evaluation import Estimate, Evaluation, frechet_distance
from artifex.generative_models.modalities.image.classifier import ImageClassifier


def evaluate_samples(
    pictures: Integer[Any, "n c h w"],
    dataset: AbstractDataset,
    classifier: ImageClassifier,
    *,
    labels: Integer[Any, " n"] | None = None,
) -> Evaluation:
    """How near generated pictures are to real ones.

    Args:
        pictures: generated ones in their stored form, as `representation.decode` gives them.
        dataset: real pictures. A distance depends on the numbers of both: see `frechet_distance`.
        classifier: a ruler, from `train_image_classifier`.
        labels: the classes that were asked for; None: there were none.

    Returns:
        Values with the number of generated pictures; a distance has no standard error.
    """
    real = dataset.rows(np.arange(len(dataset)))["x"]
    distance = frechet_distance(classifier.features(real), classifier.features(pictures))
    estimates = {"frechet_distance": Estimate(distance, None, len(pictures))}
    if labels is not None:
        estimates["class_agreement"] = classifier.agreement(pictures, labels)
    missing = {"class_agreement": "the pictures were made without classes"} if labels is None else {}
    return Evaluation(estimates, missing)
