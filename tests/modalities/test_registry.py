"""The registry of modalities: a user's own one works like those of the library."""

import jax
import numpy as np
import pytest

from artifex.data import Dataset, DataSplits
from artifex.generative_models.core.configuration import DataConfig, config
from artifex.generative_models.core.evaluation import Evaluation, estimate_mean
from artifex.generative_models.core.representations import Identity
from artifex.generative_models.modalities import (
    Modality,
    evaluate,
    load_data,
    load_representation,
    modalities,
    register_modality,
    registry,
)


@config("registry_test_noise")
class NoiseConfig(DataConfig):
    """Numbers."""

    size: int = 4


@config("registry_test_other")
class OtherConfig(DataConfig):
    """A config that nobody registers."""


def load_noise(config):
    data = Dataset(np.zeros((config.size, 1)))
    return DataSplits(data, None, None, data.representation)


def evaluate_noise(model, dataset, *, key, power=1):
    return Evaluation({"mean": estimate_mean(np.asarray(dataset.arrays["x"][:, 0] + model) ** power)})


@pytest.fixture
def noise(monkeypatch):
    monkeypatch.setattr(registry, "_MODALITIES", dict(modalities()))
    modality = Modality(NoiseConfig, load_noise, evaluate_noise, Identity, {"noise": NoiseConfig(size=7)})
    register_modality("registry_test_noise", modality)
    return modality


def test_a_registered_modality_loads_and_evaluates(noise, key):
    assert len(load_data("noise").train) == 7
    assert len(load_data({"kind": "registry_test_noise", "size": 2}).train) == 2
    assert evaluate(3.0, load_data(NoiseConfig()).train, key=key, power=2)["mean"] == 9.0


def test_the_representation_alone(noise):
    """A modality that does not say how to make it has its data loaded; one that does has not."""
    assert load_representation("noise") == load_noise(NoiseConfig()).representation
    assert load_representation("digits") == load_data("digits").representation
    missing = {"kind": "image", "dataset": {"kind": "npz", "file": "no.npz", "num_levels": 4}}
    assert load_representation(missing).num_levels == 4
    with pytest.raises(LookupError, match="Did you mean 'digits'"):
        load_representation("digit")


def test_clashes_are_errors(noise):
    register_modality("registry_test_noise", noise)  # the same again, as a notebook cell does
    with pytest.raises(ValueError, match="must be the kind of NoiseConfig"):
        register_modality("noise", noise)
    other = Modality(OtherConfig, load_noise, evaluate_noise, Identity, {"digits": OtherConfig()})
    with pytest.raises(ValueError, match=r"\['digits'\] belong to modality 'image'"):
        register_modality("registry_test_other", other)
    stranger = Modality(NoiseConfig, jax.jit(load_noise).__wrapped__, evaluate_noise, Identity)
    register_modality("registry_test_noise", stranger)
    with pytest.raises(ValueError, match="registered already"):
        register_modality(
            "registry_test_noise", Modality(NoiseConfig, test_clashes_are_errors, evaluate_noise, Identity)
        )


def test_config_without_a_modality():
    with pytest.raises(LookupError, match="no modality is registered for OtherConfig"):
        load_data(OtherConfig())


def test_image_is_built_in():
    assert "image" in modalities()
