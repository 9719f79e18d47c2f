"""Values that a model cannot learn from are found before training."""

import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    BernoulliConfig,
    BijectionFlowConfig,
    DiscretizedLogisticConfig,
    ExpLayerConfig,
    NormalConfig,
    SphereFlowConfig,
    VAEConfig,
    VQVAEConfig,
)
from artifex.generative_models.core.examples import check_examples, value_range
from artifex.generative_models.models import flow, vae  # enter the ranges of their models

assert flow
assert vae


@pytest.mark.parametrize(
    ("likelihood", "expected"),
    [
        (BernoulliConfig(), (0.0, 1.0)),
        (DiscretizedLogisticConfig(low=-1.0, high=1.0), (-1.0, 1.0)),
        (NormalConfig(), None),
    ],
)
def test_range_of_models(likelihood, expected):
    assert value_range(VAEConfig(likelihood=likelihood)) == expected
    assert value_range(VQVAEConfig(likelihood=likelihood)) == expected


def test_entries_out_of_range():
    config = VAEConfig(likelihood=BernoulliConfig())
    check_examples(config, {"x": np.array([0.0, 1.0000001, 0.5])})
    with pytest.raises(
        ValueError,
        match=r"`x` must lie in \[0, 1\].*got values from 0 to 255; 1 of 2 rows lie outside: row 1 by 254\. Rescale",
    ):
        check_examples(config, {"x": np.array([0, 255], np.uint8)})
    with pytest.raises(ValueError, match="from -1 to 1"):
        check_examples(config, {"x": {"a": np.ones(2), "b": np.array([-1.0, 1.0])}})
    check_examples(config.replace(likelihood=NormalConfig()), {"x": np.array([-300.0, 300.0])})


def test_stored_pixels():
    """Bytes of an image are no numbers to learn, for a model of any number; bits and the same numbers as floats are."""
    config, pixels = VAEConfig(likelihood=NormalConfig()), np.array([0, 255], np.uint8)
    with pytest.raises(ValueError, match=r"got uint8 up to 255, as pixels are stored\. Scale them"):
        check_examples(config, {"x": pixels})
    check_examples(config, {"x": pixels.astype(np.float32)})
    check_examples(config, {"x": np.minimum(pixels, 1)})


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range(label):
    config = VAEConfig(num_classes=3)
    check_examples(config, {"condition": np.array([0, 2])})
    with pytest.raises(ValueError, match=r"\[0, 3\), as `num_classes` of the model says"):
        check_examples(config, {"condition": np.array([1, label])})


def test_many_rows_out_of_range():
    """Of rows with many entries the worst counts, and five are listed."""
    config = VAEConfig(likelihood=BernoulliConfig())
    x = np.full((100, 2, 3), 0.5)
    x[10:20, 1, 2] = -np.arange(1, 11)
    with pytest.raises(ValueError, match=r"10 of 100 rows lie outside: row 10 by 1, .*row 14 by 5, \.\.\.\."):
        check_examples(config, {"x": x})


def test_positive_numbers():
    """An interval without an end has no width that allows for rounding."""
    config = BijectionFlowConfig(event_shape=(2,), bijection=ExpLayerConfig())
    check_examples(config, {"x": np.array([[1e-30, 1e30]])})
    with pytest.raises(ValueError, match=r"\[0, inf\].*1 of 2 rows lie outside: row 1 by 0\.001\."):
        check_examples(config, {"x": np.array([[1.0, 2.0], [3.0, -1e-3]])})


def test_unit_vectors():
    check_examples(SphereFlowConfig(), {"x": np.array([[0.6, 0.8, 0.0]], np.float32)})
    with pytest.raises(
        ValueError, match=r"unit vectors; got lengths from 1 to 2; 1 of 2 rows .*: row 1 by 1\. Divide"
    ):
        check_examples(SphereFlowConfig(), {"x": np.array([[1.0, 0.0, 0.0], [0.0, 0.0, -2.0]])})
