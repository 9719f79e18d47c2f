"""Stochastic interpolants between Gaussians, where velocity, noise and optimal maps are known in closed form."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    AdamConfig,
    LinearPathConfig,
    MeshConfig,
    MLPDenoiserConfig,
    OptimalTransportCouplingConfig,
    StochasticInterpolantConfig,
    TrainingConfig,
    TrigonometricPathConfig,
    VPPathConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.diffusion.bridges import Bridge
from artifex.generative_models.models.diffusion.couplings import couple_batch
from artifex.generative_models.models.diffusion.paths import make_path
from artifex.generative_models.training import fit

DATA = (1.5, 0.4)  # mean and standard deviation
SOURCE = (-1.0, 0.8)
SMALL = MLPDenoiserConfig(hidden_size=32, num_layers=1)


def exact(bridge, is_optimal):
    """E[alpha' data + sigma' source | x_t] and E[z | x_t]; the source independent, or where the optimal map has it."""

    def estimates(x, t):
        a, s = bridge.path.alpha(t), bridge.path.sigma(t)
        da, ds = bridge.path.derivatives(t)
        g = bridge.gamma(t)
        (m0, d0), (m1, d1) = DATA, SOURCE
        if is_optimal:  # both ends are the same normal number, shifted and scaled
            variance = (a * d0 + s * d1) ** 2
            slope = (a * d0 + s * d1) * (da * d0 + ds * d1)
        else:
            variance = a**2 * d0**2 + s**2 * d1**2
            slope = a * da * d0**2 + s * ds * d1**2
        away = (x - (a * m0 + s * m1)) / (variance + g**2)
        return da * m0 + ds * m1 + slope * away, g * away

    return estimates


def carry(bridge, estimates, source, num_steps, solver=None, **options):
    """All sources to the data."""
    solver = diffrax.Heun() if solver is None else solver
    keys = jax.random.split(jax.random.key(3), len(source))
    has_noise = options.get("eta", 0.0) > 0
    return jax.jit(
        jax.vmap(
            lambda x, key: bridge.follow(
                estimates, x, solver, num_steps, key=key if has_noise else None, **options
            )
        )
    )(source, keys)


@pytest.fixture(scope="module")
def source():
    """Draws from the source."""
    return SOURCE[0] + SOURCE[1] * jax.random.normal(jax.random.key(0), (4000, 1))


@pytest.mark.parametrize(
    ("path", "scale", "eta", "is_optimal"),
    [
        (LinearPathConfig(), 0.0, 0.0, False),
        (LinearPathConfig(), 0.7, 0.0, True),
        (LinearPathConfig(), 0.7, 1.0, False),
        (TrigonometricPathConfig(), 0.7, 0.0, False),
        (TrigonometricPathConfig(), 0.7, 1.0, True),
    ],
)
def test_moments_of_the_data(path, scale, eta, is_optimal, source):
    """The exact conditional expectations carry the source to the data, by the ODE and by the SDE."""
    bridge = Bridge(make_path(path), scale)
    x = np.asarray(carry(bridge, exact(bridge, is_optimal), source, 50, eta=eta))
    n = len(x)
    assert abs(x.mean() - DATA[0]) < 4 * DATA[1] / np.sqrt(n) + 0.01
    assert abs(x.std() - DATA[1]) < 4 * DATA[1] / np.sqrt(2 * n) + 0.01


def test_the_ode_is_the_monotone_map(source):
    """In one dimension the flow between Gaussians is the optimal map, whatever the coupling; and it leads back."""
    target = DATA[0] + DATA[1] / SOURCE[1] * (source - SOURCE[0])
    for scale, is_optimal in ((0.0, False), (0.0, True), (0.7, True)):
        bridge = Bridge(make_path(LinearPathConfig()), scale)
        estimates = exact(bridge, is_optimal)
        x = carry(bridge, estimates, source[:50], 100)
        np.testing.assert_allclose(x, target[:50], atol=2e-3)
        back = carry(bridge, estimates, x, 100, is_backward=True)
        np.testing.assert_allclose(back, source[:50], atol=4e-3)


@pytest.mark.parametrize(
    ("solver", "order"), [(diffrax.Euler(), 1), (diffrax.Heun(), 2), (diffrax.Bosh3(), 3)]
)
def test_order(solver, order, source):
    """Halving the steps divides the error by 2 to the order, bridge and all: the angle has no singular ends."""
    bridge = Bridge(make_path(LinearPathConfig()), 0.7)
    target = DATA[0] + DATA[1] / SOURCE[1] * (source[:20] - SOURCE[0])
    errors = [
        float(jnp.abs(carry(bridge, exact(bridge, True), source[:20], n, solver) - target).max())
        for n in (8, 16)
    ]
    assert np.log2(errors[0] / errors[1]) > order - 0.35, errors


def test_energy_of_coupled_paths():
    """Mean |data - source|^2 is W_2^2 of the Gaussians in the optimal coupling, and much more when independent."""
    (m0, d0), (m1, d1) = DATA, SOURCE
    wasserstein = (m0 - m1) ** 2 + (d0 - d1) ** 2
    keys = jax.random.split(jax.random.key(1), 16)
    coupled, free = [], []
    for key in keys:
        data_key, source_key = jax.random.split(key)
        data = m0 + d0 * jax.random.normal(data_key, (256, 1))
        source = m1 + d1 * jax.random.normal(source_key, (256, 1))
        paired = couple_batch(OptimalTransportCouplingConfig(), data, source, key=key)
        coupled.append(float(jnp.mean((data - paired) ** 2)))
        free.append(float(jnp.mean((data - source) ** 2)))
    error = np.std(coupled) / 4
    assert abs(np.mean(coupled) - wasserstein) < 4 * error + 0.02
    np.testing.assert_allclose(np.mean(free), (m0 - m1) ** 2 + d0**2 + d1**2, rtol=0.05)
    # The velocity of the coupled interpolant is constant along a path, so its energy is that distance, at all times.
    bridge = Bridge(make_path(LinearPathConfig()))
    g = jax.random.normal(jax.random.key(2), (4000, 1))
    for t in (0.1, 0.5, 0.9):
        x = (1 - t) * (m0 + d0 * g) + t * (m1 + d1 * g)
        velocity = jax.vmap(lambda x, t=t: exact(bridge, True)(x, jnp.float32(t))[0])(x)
        np.testing.assert_allclose(velocity, (m1 - m0) + (d1 - d0) * g, atol=1e-4)


@pytest.mark.parametrize(("scale", "eta"), [(0.0, 0.0), (0.5, 1.0)])
def test_learns_from_pairs(scale, eta):
    """Two moments of what a trained model makes of new sources, in training with the optimal coupling."""
    rng = np.random.default_rng(0)
    pairs = {
        "data": (DATA[0] + DATA[1] * rng.normal(size=(2048, 1))).astype(np.float32),
        "source": (SOURCE[0] + SOURCE[1] * rng.normal(size=(2048, 1))).astype(np.float32),
    }
    config = StochasticInterpolantConfig(
        event_shape=(1,),
        network=SMALL,
        bridge_scale=scale,
        eta=eta,
        coupling=OptimalTransportCouplingConfig(),
    )
    training = TrainingConfig(
        num_steps=500,
        batch_size=64,
        optimizer=AdamConfig(learning_rate=4e-3),
        ema_decay=0.98,
        mesh=MeshConfig(data=1),
    )
    model = fit(
        create_model(config, key=jax.random.key(0)),
        {"x": pairs},
        training,
        key=jax.random.key(1),
        progress=False,
    ).model
    fresh = SOURCE[0] + SOURCE[1] * jax.random.normal(jax.random.key(2), (2000, 1))
    made = np.asarray(model.transport(fresh, key=jax.random.key(3) if eta else None))
    assert abs(made.mean() - DATA[0]) < 0.12 and abs(made.std() - DATA[1]) < 0.1
    # With the optimal coupling large sources go to large data.
    assert np.corrcoef(made[:, 0], fresh[:, 0])[0, 1] > (0.7 if eta else 0.98)


def test_wrong_use(key):
    """Errors say what is required."""
    with pytest.raises(ValueError, match="`eta` above 0 needs the score"):
        StochasticInterpolantConfig(eta=1.0)
    with pytest.raises(ValueError, match="must end at the source alone"):
        create_model(StochasticInterpolantConfig(event_shape=(1,), path=VPPathConfig(beta_max=2.0)), key=key)
    config = StochasticInterpolantConfig(event_shape=(1,), network=SMALL, bridge_scale=1.0, eta=1.0)
    model = create_model(config, key=key)
    with pytest.raises(ValueError, match="give `key`"):
        model.transport(jnp.zeros((2, 1)))
    with pytest.raises(ValueError, match="must have one shape"):
        model.loss({"data": jnp.zeros((2, 1)), "source": jnp.zeros((2, 2))}, key=key)
    with pytest.raises(ValueError, match="or a mapping with"):
        model.loss({"data": jnp.zeros((2, 1)), "noise": jnp.zeros((2, 1))}, key=key)
