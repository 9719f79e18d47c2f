"""Generated pictures against real ones: the classifier, its features, and the distance in them."""

import numpy as np
import pytest

from artifex.generative_models.core.configuration import ImageDataConfig
from artifex.generative_models.core.evaluation import frechet_distance
from artifex.generative_models.modalities import load_data
from artifex.generative_models.modalities.image import (
    CLASSIFIER_TRAINING,
    evaluate_samples,
    train_image_classifier,
)


class TestFrechetDistance:
    """Against closed forms."""

    def test_equal_sets_and_shifts(self):
        """Zero of a set to itself; the squared shift of a shifted one."""
        x = np.random.default_rng(0).normal(size=(50, 6))
        assert abs(frechet_distance(x, x)) < 1e-12
        np.testing.assert_allclose(frechet_distance(x, x + 0.5), 6 * 0.25, rtol=1e-10)

    def test_commuting_covariances(self):
        """Scaled axes: sum of (s1 - s2)^2, also where a covariance is singular."""
        x = np.random.default_rng(1).normal(size=(40, 3))
        x = (x - x.mean(0)) @ np.linalg.inv(np.linalg.cholesky(np.cov(x, rowvar=False))).T
        first, second = x * [1.0, 2.0, 3.0], x * [2.0, 2.0, 0.0]
        np.testing.assert_allclose(frechet_distance(first, second), 1.0 + 0.0 + 9.0, rtol=1e-9)

    def test_against_scipy(self):
        """General covariances, by the square root of the product of two matrices."""
        from scipy.linalg import sqrtm

        rng = np.random.default_rng(2)
        x, y = (rng.normal(size=(200, 5)) @ rng.normal(size=(5, 5)) for _ in range(2))
        c1, c2 = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
        shift = x.mean(0) - y.mean(0)
        wanted = shift @ shift + np.trace(c1 + c2 - 2 * sqrtm(c1 @ c2).real)
        np.testing.assert_allclose(frechet_distance(x, y), wanted, rtol=1e-6)

    def test_wrong_input(self):
        """Too few, or of another space."""
        with pytest.raises(ValueError, match="at least 2 examples"):
            frechet_distance(np.zeros((1, 3)), np.zeros((5, 3)))
        with pytest.raises(ValueError, match="finite"):
            frechet_distance(np.full((3, 3), np.nan), np.zeros((5, 3)))


@pytest.fixture(scope="module")
def judged(key_of_module):
    """Digits and a classifier of them."""
    data = load_data(ImageDataConfig(dataset="digits", representation="symmetric", conditional=True))
    short = CLASSIFIER_TRAINING.replace(num_steps=150)
    return data, train_image_classifier(data.train, key=key_of_module, training=short)


@pytest.fixture(scope="module")
def key_of_module():
    """A typed key."""
    import jax

    return jax.random.key(0)


def test_reads_digits(judged):
    """Held-out digits are read; the same digits with other labels are not."""
    data, classifier = judged
    rows = data.test.rows(np.arange(len(data.test)))
    assert classifier.agreement(rows["x"], rows["condition"]).value > 0.9
    assert classifier.agreement(rows["x"], (rows["condition"] + 1) % 10).value < 0.1
    probabilities = np.exp(classifier.log_probs(rows["x"]))
    np.testing.assert_allclose(probabilities.sum(1), 1.0, rtol=1e-5)
    features = classifier.features(rows["x"])
    np.testing.assert_allclose(classifier.features(rows["x"][3:7]), features[3:7], rtol=1e-4, atol=1e-4)


def test_worse_pictures_are_farther(judged):
    """Other real pictures are near, noisy ones farther, noise alone farthest; classes are judged too."""
    data, classifier = judged
    rows = data.train.rows(np.arange(400))
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 17, rows["x"].shape).astype(np.uint8)
    noisy = np.where(rng.random(rows["x"].shape) < 0.5, noise, rows["x"])
    found = [
        evaluate_samples(x, data.test, classifier, labels=rows["condition"])
        for x in (rows["x"], noisy, noise)
    ]
    distances = [f["frechet_distance"] for f in found]
    assert distances[0] < 0.5 * distances[1] < 0.5 * distances[2]
    assert found[0]["class_agreement"] > 0.9 > found[1]["class_agreement"] > found[2]["class_agreement"]
    assert "class_agreement" in evaluate_samples(noise, data.test, classifier).unavailable


def test_wrong_use(judged, key_of_module):
    """Unlabelled data, encoded pictures, other shapes."""
    _, classifier = judged
    with pytest.raises(ValueError, match="must have class labels"):
        train_image_classifier(load_data("digits").train, key=key_of_module)
    with pytest.raises(TypeError, match="stored ones, integers"):
        classifier.features(np.zeros((2, 1, 8, 8), np.float32))
    with pytest.raises(ValueError, match=r"shape \(n, 1, 8, 8\)"):
        classifier.features(np.zeros((2, 1, 9, 9), np.uint8))
