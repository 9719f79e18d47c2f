"""Points in the plane from distributions with a known density: data sets, representation, evaluation."""

from artifex.generative_models.core.configuration import (
    CheckerboardConfig,
    EightGaussiansConfig,
    GaussianGridConfig,
    PinwheelConfig,
    RingsConfig,
    SpiralsConfig,
    TorusMixtureConfig,
    ToyDataConfig,
    TwoMoonsConfig,
)
from artifex.generative_models.modalities.registry import Modality, register_modality
from artifex.generative_models.modalities.toy.datasets import load_points
from artifex.generative_models.modalities.toy.evaluation import evaluate_points
from artifex.generative_models.modalities.toy.representations import ToyPoints

register_modality(
    "toy",
    Modality(
        config_class=ToyDataConfig,
        load=load_points,
        evaluate=evaluate_points,
        representation=ToyPoints,
        datasets={
            "two_moons": ToyDataConfig(dataset=TwoMoonsConfig()),
            "eight_gaussians": ToyDataConfig(dataset=EightGaussiansConfig()),
            "gaussian_grid": ToyDataConfig(dataset=GaussianGridConfig()),
            "checkerboard": ToyDataConfig(dataset=CheckerboardConfig()),
            "spirals": ToyDataConfig(dataset=SpiralsConfig()),
            "pinwheel": ToyDataConfig(dataset=PinwheelConfig()),
            "rings": ToyDataConfig(dataset=RingsConfig()),
            "torus_mixture": ToyDataConfig(dataset=TorusMixtureConfig(), standardize=False),
        },
    ),
)
