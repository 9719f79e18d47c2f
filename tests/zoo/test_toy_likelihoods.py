"""Exact likelihoods of trained models: near the entropy of the data, and densities that integrate to 1."""

import jax
import numpy as np
import pytest

from artifex.data.toys import make_toy
from artifex.data.toys.quadrature import grid_points
from artifex.generative_models.core.configuration import (
    AdamConfig,
    FlowMatchingConfig,
    MeshConfig,
    MLPDenoiserConfig,
    ToyDataConfig,
    TrainingConfig,
    TwoMoonsConfig,
    UniformTimesConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.modalities import evaluate, load_data
from artifex.generative_models.training import fit
from artifex.generative_models.zoo import get, run_experiment

CHUNK = 1024


def probability_on_grid(model, points, num):
    """Sum of the density over `num`^2 cells of a rectangle that is wider than the data."""
    x_min, x_max, y_min, y_max = points.toy.limits
    cells, area = grid_points(points.toy.limits, max(x_max - x_min, y_max - y_min) / num)
    padded = np.concatenate([cells, np.repeat(cells[:1], -len(cells) % CHUNK, axis=0)])
    log_prob = [
        np.asarray(
            model.log_prob(points.encode(part), key=jax.random.key(0)) + points.log_det(part), np.float64
        )
        for part in (padded[i : i + CHUNK] for i in range(0, len(padded), CHUNK))
    ]
    return area * np.exp(np.concatenate(log_prob)[: len(cells)]).sum()


def test_two_moons():
    """A small network, trained shortly: within 0.05 nats of the entropy on fresh points, and a density."""
    data = load_data(
        ToyDataConfig(
            dataset=TwoMoonsConfig(noise=0.15), num_examples=20_000, validation_size=0, test_size=1024
        )
    )
    config = FlowMatchingConfig(
        event_shape=(2,),
        network=MLPDenoiserConfig(hidden_size=48, num_layers=2),
        times=UniformTimesConfig(low_discrepancy=True),
    )
    training = TrainingConfig(
        num_steps=1800,
        batch_size=256,
        optimizer=AdamConfig(learning_rate=4e-3),
        schedule=WarmupCosineScheduleConfig(warmup_fraction=0.02),
        ema_decay=0.99,
        mesh=MeshConfig(data=1),
    )
    model = create_model(config, key=jax.random.key(0))
    model = fit(model, data.train, training, key=jax.random.key(1), progress=False).model
    found = evaluate(
        model,
        data.test,
        key=jax.random.key(2),
        metrics=["negative_log_likelihood", "nll_gap"],
        batch_size=CHUNK,
    )
    assert -0.01 < found["nll_gap"] < 0.05
    nll = found.estimates["negative_log_likelihood"]
    assert abs(nll.value - make_toy(TwoMoonsConfig(noise=0.15)).entropy()) < 0.05 + 4 * nll.standard_error
    np.testing.assert_allclose(probability_on_grid(model, data.representation, 64), 1.0, atol=0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "gap"),
    [
        ("flow_matching_moons", 0.05),
        ("flow_matching_eight_gaussians", 0.05),
        ("flow_matching_checkerboard", 0.05),
        ("cnf_moons", 0.02),
        ("nsf_moons", 0.02),
        ("nsf_eight_gaussians", 0.02),
        ("nsf_checkerboard", 0.02),
    ],
)
def test_presets(name, gap):
    """The presets as they are."""
    result = run_experiment(get(name), progress=False)
    error = 4 * result.evaluation.estimates["nll_gap"].standard_error
    assert -error < result.evaluation["nll_gap"] < gap + error
    total = probability_on_grid(result.model, result.data.representation, 160)
    np.testing.assert_allclose(total, 1.0, atol=0.01)
