"""The modality of toy points: what a model that knows the truth, or a shifted one, is said to be worth."""

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.data import Dataset
from artifex.data.toys import Rings, eight_gaussians
from artifex.generative_models.core.configuration import EightGaussiansConfig, RingsConfig, ToyDataConfig
from artifex.generative_models.modalities import evaluate, load_data, load_representation
from artifex.generative_models.modalities.toy import ToyPoints, evaluate_points

TOY = eight_gaussians(2.0, 0.2)


@dataclasses.dataclass
class Truth:
    """A model that is the distribution itself, away by `shift`, and that has only the first modes where `num` says."""

    points: ToyPoints
    shift: float = 0.0
    num: int = 8
    log_prob_kind: str = "exact"
    config: Any = None

    def generate(self, n_samples, *, key, condition=None, chunk_size=None):
        """Samples of the first `num` components."""
        x, labels = self.points.toy.labelled_sample(4 * n_samples, key=key)
        kept = np.asarray(x)[np.asarray(labels) < self.num][:n_samples]
        return self.points.encode(kept + np.array([[self.shift, 0.0]], np.float32))

    def log_prob(self, x, *, condition=None, key=None):
        """Of the shifted distribution, in the model's coordinates."""
        stored = self.points.decode(x) - jnp.array([[self.shift, 0.0]])
        return self.points.toy.log_prob(stored) - self.points.log_det(stored)

    def loss(self, x, condition=None, *, key, step=None):
        """Not used."""
        raise NotImplementedError


class Sampler:
    """A model without a density."""

    def __init__(self, truth):
        self.generate = truth.generate


@pytest.fixture(scope="module")
def data():
    """Standardized points around eight modes."""
    config = ToyDataConfig(
        dataset=EightGaussiansConfig(), num_examples=4000, validation_size=0, test_size=600
    )
    return load_data(config)


def test_splits(data):
    """Sizes; the training points have mean 0 and standard deviation 1; nothing is shared; labels on demand."""
    assert (len(data.train), data.validation, len(data.test)) == (4000, None, 600)
    x = np.asarray(data.train.batch(range(4000), key=jax.random.key(0))["x"])
    np.testing.assert_allclose(x.mean(0), 0.0, atol=1e-5)
    np.testing.assert_allclose(x.std(0), 1.0, atol=1e-5)
    train, test = data.train.arrays["x"], data.test.arrays["x"]
    assert not set(map(tuple, train)) & set(map(tuple, test))
    rings = ToyDataConfig(dataset=RingsConfig(), conditional=True, num_examples=50, validation_size=5)
    loaded = load_data(rings)
    radii = np.linalg.norm(loaded.train.arrays["x"], axis=1)
    np.testing.assert_allclose(radii, loaded.train.arrays["condition"] + 1.0, atol=0.5)
    # Later parts do not move earlier ones.
    again = load_data(rings.replace(test_size=7))
    np.testing.assert_array_equal(again.train.arrays["x"], loaded.train.arrays["x"])
    assert len(again.validation) == 5 and len(again.test) == 7
    assert load_representation("two_moons").toy.num_classes == 2
    with pytest.raises(ValueError, match="at least 8 to standardize"):
        load_data(ToyDataConfig(num_examples=3))


def test_representation():
    """There and back, and the log-determinant by autodiff."""
    points = ToyPoints(Rings(), mean=(1.0, -2.0), scale=(0.5, 3.0))
    x = np.array([[0.3, 0.4], [-1.0, 2.0]], np.float32)
    np.testing.assert_allclose(points.decode(points.encode(x)), x, rtol=1e-5)
    jacobian = jax.jacobian(lambda x: points._encode_one(x, key=None))(jnp.asarray(x[0]))
    np.testing.assert_allclose(points.log_det(x), np.linalg.slogdet(jacobian)[1], rtol=1e-5)
    with pytest.raises(ValueError, match="must be positive"):
        ToyPoints(Rings(), scale=(1.0, 0.0))


def test_the_truth_cannot_be_beaten(data, key):
    """No gap, all modes, no distance, and the entropy within four standard errors."""
    found = evaluate(Truth(data.representation), data.test, key=key)
    assert list(found) == list(found.estimates) and len(found) == 5 and not found.unavailable
    assert abs(found["nll_gap"]) < 1e-5
    estimates = found.estimates
    nll = estimates["negative_log_likelihood"]
    assert abs(nll.value - TOY.entropy()) < 4 * nll.standard_error
    distance = estimates["energy_distance"]
    assert abs(distance.value) < 4 * distance.standard_error
    assert found["mode_coverage"] == 1.0
    quality = estimates["high_quality_share"]
    assert abs(quality.value - (1 - np.exp(-4.5))) < 4 * quality.standard_error


def test_a_shift_is_seen(data, key):
    """The gap is KL = shift^2 / (2 scale^2) for far modes; a larger one moves the points away."""
    found = evaluate(Truth(data.representation, shift=0.1), data.test, key=key)
    gap = found.estimates["nll_gap"]
    assert abs(gap.value - 0.125) < 4 * gap.standard_error
    assert found["mode_coverage"] == 1.0
    far = evaluate(Truth(data.representation, shift=1.0), data.test, key=key, metrics=["energy_distance"])
    distance = far.estimates["energy_distance"]
    assert distance.value > 4 * distance.standard_error


def test_missing_modes_are_counted(data, key):
    """Three of eight."""
    model = Sampler(Truth(data.representation, num=3))
    found = evaluate(model, data.test, key=key)
    assert found["mode_coverage"] == 3 / 8
    assert found.unavailable["nll_gap"] == "the model has no density"
    with pytest.raises(ValueError, match="nll_gap cannot be computed for Sampler: the model has no density"):
        evaluate(model, data.test, key=key, metrics=["nll_gap"])


def test_parts(data, key):
    """Chosen metrics and examples; rings have no modes, and conditional models no gap."""
    found = evaluate(
        Truth(data.representation), data.test, key=key, metrics=["nll_gap"], max_examples=70, batch_size=32
    )
    assert list(found) == ["nll_gap"] and found.estimates["nll_gap"].num_examples == 70
    points = ToyPoints(Rings())
    x, labels = points.toy.labelled_sample(40, key=key)
    dataset = Dataset({"x": np.asarray(x), "condition": np.asarray(labels)}, points)
    found = evaluate(Truth(points), dataset, key=key, num_samples=64)
    assert set(found) == {"negative_log_likelihood", "energy_distance"}
    assert "is no mixture" in found.unavailable["mode_coverage"]
    assert "is conditional" in found.unavailable["nll_gap"]


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"metrics": ["nll"]}, "unknown metric 'nll'"),
        ({"metrics": []}, "at least one"),
        ({"num_samples": 8}, "`num_samples` must be at least 16"),
        ({"batch_size": 0}, "`batch_size`"),
        ({"max_examples": 0}, "`max_examples`"),
    ],
)
def test_wrong_options(data, key, options, match):
    with pytest.raises((ValueError, LookupError), match=match):
        evaluate(Truth(data.representation), data.test, key=key, **options)
    with pytest.raises(TypeError, match="must be `ToyPoints`"):
        evaluate_points(None, Dataset(np.zeros((3, 2))), key=key)
