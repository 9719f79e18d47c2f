"""Values that a model cannot learn from are found before training."""

import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    BernoulliConfig,
    DiscretizedLogisticConfig,
    NormalConfig,
    VAEConfig,
    VQVAEConfig,
)
from artifex.generative_models.core.examples import check_examples, value_range
from artifex.generative_models.models import vae  # enters the ranges of its models

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
    with pytest.raises(ValueError, match=r"`x` must lie in \[0, 1\].*got values from 0 to 255\. Rescale"):
        check_examples(config, {"x": np.array([0, 255], np.uint8)})
    with pytest.raises(ValueError, match="from -1 to 1"):
        check_examples(config, {"x": {"a": np.ones(2), "b": np.array([-1.0, 1.0])}})
    check_examples(config.replace(likelihood=NormalConfig()), {"x": np.array([-300.0, 300.0])})


@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range(label):
    config = VAEConfig(num_classes=3)
    check_examples(config, {"condition": np.array([0, 2])})
    with pytest.raises(ValueError, match=r"\[0, 3\), as `num_classes` of the model says"):
        check_examples(config, {"condition": np.array([1, label])})
