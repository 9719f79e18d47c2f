"""What a model is asked for: inpainting, editing, inversion, controls; each sample on its own, compiled once."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    AdaptiveODESamplerConfig,
    DDIMSamplerConfig,
    FlowMatchingConfig,
    MLPDenoiserConfig,
)
from artifex.generative_models.core.sampling import Constraint, LinearMeasurement
from artifex.generative_models.factory import create_model

COUNTS = {"traces": 0}


def shifted(data, t, target):
    """A projection that counts how often it is traced."""
    COUNTS["traces"] += 1
    return data + target


def first(x):
    """The first entry."""
    return x[:1]


SHIFT = Constraint(shifted)
FIRST = LinearMeasurement(first, noise_scale=0.1)


@pytest.fixture(scope="module")
def model():
    """Small, moved away from its start."""
    config = FlowMatchingConfig(
        event_shape=(2,),
        num_classes=3,
        network=MLPDenoiserConfig(hidden_size=16, num_layers=1),
        num_sampling_steps=6,
    )
    made = create_model(config, key=jax.random.key(0))
    noise = lambda leaf: leaf + 0.1 * jax.random.normal(jax.random.key(leaf.size), leaf.shape)  # noqa: E731
    return jax.tree.map(lambda leaf: noise(leaf) if eqx.is_inexact_array(leaf) else leaf, made)


LABELS = jnp.array([0, 1, 2, 0])
X = jnp.array([[0.5, -0.3], [1.0, 0.2], [-0.7, 0.1], [0.0, 0.9]])


def test_controls_are_compiled_once(model, key):
    """For other keys, targets and conditions; the target reaches its own sample alone."""
    target = jnp.zeros((4, 2))
    plain = model.sample(4, key=key, condition=LABELS).x
    np.testing.assert_allclose(
        model.sample(4, key=key, condition=LABELS, control=SHIFT, target=target).x, plain, atol=1e-4
    )
    traces = COUNTS["traces"]
    assert traces >= 1
    moved = model.sample(4, key=key, condition=LABELS, control=SHIFT, target=target.at[1].set(1.0)).x
    assert COUNTS["traces"] == traces
    np.testing.assert_allclose(moved[np.array([0, 2, 3])], plain[np.array([0, 2, 3])], atol=1e-4)
    assert np.abs(moved[1] - plain[1]).min() > 0.1


def test_a_measurement(model, key):
    """Samples come near it, whatever their number and the chunks. This network leaves x_t as it is."""
    model = jax.tree.map(lambda leaf: 0 * leaf if eqx.is_inexact_array(leaf) else leaf, model)
    y = jnp.array([[1.0], [-1.0], [0.5], [0.0]])
    options = {"key": key, "control": FIRST, "sampler": DDIMSamplerConfig(), "num_steps": 6}
    x = model.sample(4, condition=LABELS, target=y, **options).x
    plain = model.sample(4, key=key, condition=LABELS).x
    assert np.abs(x[:, :1] - y).mean() < 0.5 * np.abs(plain[:, :1] - y).mean()
    chunked = model.sample(4, condition=LABELS, target=y, chunk_size=3, **options).x
    np.testing.assert_allclose(chunked, x, atol=1e-4)


def test_inpainting(model, key):
    """Known entries exactly; what is not known of an example is not looked at."""
    is_known = jnp.array([True, False])
    painted = model.inpaint(X, is_known, key=key, condition=LABELS, num_resamples=2)
    np.testing.assert_array_equal(painted.x[:, 0], X[:, 0])
    assert (painted.num_evaluations == 12).all()
    other = model.inpaint(X.at[:, 1].set(7.0), is_known, key=key, condition=LABELS, num_resamples=2)
    np.testing.assert_array_equal(other.x, painted.x)
    nothing = model.inpaint(X, jnp.zeros((4, 2), bool), key=key, condition=LABELS)
    np.testing.assert_allclose(nothing.x, model.sample(4, key=key, condition=LABELS).x, atol=1e-5)
    few = model.inpaint(X[:3], is_known, key=key, condition=LABELS[:3], num_resamples=2)
    np.testing.assert_allclose(few.x, painted.x[:3], atol=1e-5)


def test_editing(model, key):
    """At full strength nothing of the example is left; a little noise leaves it nearly as it is."""
    whole = model.edit(X, 1.0, key=key, condition=LABELS)
    np.testing.assert_allclose(whole.x, model.sample(4, key=key, condition=LABELS).x, atol=1e-5)
    little = model.edit(X, 0.02, key=key, condition=LABELS, num_steps=50)
    assert (little.num_evaluations == 1).all()
    assert np.abs(little.x - X).max() < 0.2
    half = model.edit(X, 0.5, key=key, condition=LABELS, num_steps=10, keep_trajectory=True)
    assert half.trajectory.shape == (4, 6, 2)
    assert np.abs(half.x - X).mean() > np.abs(little.x - X).mean()


def test_inversion(model, key):
    """Back to the example with many steps; to another one with another condition."""
    noise = model.invert(X, LABELS, num_steps=300)
    back = model.sample(4, key=key, condition=LABELS, noise=noise, num_steps=300)
    np.testing.assert_allclose(back.x, X, atol=0.02)
    other = model.sample(4, key=key, condition=(LABELS + 1) % 3, noise=noise, num_steps=300)
    assert np.abs(other.x - X).max() > 0.02
    latents = model.invert(X, LABELS)
    np.testing.assert_allclose(latents, model.encode(X, LABELS), atol=1e-5)


def test_networks_that_give_nan(model, key):
    """An error that says so, wherever samples come from; a trace is left alone."""
    broken = eqx.tree_at(lambda m: m.network.out.bias, model, jnp.full(2, jnp.nan))
    message = "GaussianDiffusion made 4 of 4 with NaN or infinity, the first of them number 0"
    for make in (
        lambda m: m.generate(4, key=key, condition=LABELS),
        lambda m: m.sample(4, key=key, condition=LABELS).x,
        lambda m: m.edit(X, 0.5, key=key, condition=LABELS).x,
    ):
        with pytest.raises(FloatingPointError, match=message):
            make(broken)
    one = lambda m, key: m.generate(2, key=key, condition=0)  # noqa: E731
    assert np.isnan(eqx.filter_jit(one)(broken, key)).all()
    exported = jax.export.export(jax.jit(lambda key: one(model, key)))(key)
    np.testing.assert_allclose(exported.call(key), one(model, key), atol=1e-5)


def test_denoise_checks(model):
    """Times, their number, and the examples' shape."""
    given = {"condition": LABELS}
    with pytest.raises(ValueError, match=r"`t` must lie in \[0, 1\].* got values from -0.1.* to 1.2"):
        model.denoise(X, jnp.array([0.1, -0.1, 1.2, 0.5]), **given)
    with pytest.raises(ValueError, match="`t` must be one time or 4"):
        model.denoise(X, jnp.array([0.1, 0.2]), **given)
    with pytest.raises(ValueError, match=r"`x` must have shape \(batch, 2\); got \(4, 1\)"):
        model.denoise(X[:, :1], 0.5, **given)
    with pytest.raises(ValueError, match="also learned without conditions"):
        model.denoise(X, 0.5, guidance_scale=2.0, **given)


def test_wrong_use(model, key):
    """Errors say what is required."""
    given = {"key": key, "condition": LABELS}
    with pytest.raises(ValueError, match="give `control` too"):
        model.sample(4, **given, target=X)
    with pytest.raises(ValueError, match="`target` must have a leading axis of length 4"):
        model.sample(4, **given, control=SHIFT, target=X[:3])
    with pytest.raises(ValueError, match=r"`noise` must have shape \(4, 2\); got \(4, 3\)"):
        model.sample(4, **given, noise=jnp.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"`is_known` must have shape \(4, 2\); got \(3,\)"):
        model.inpaint(X, jnp.zeros(3, bool), **given)
    with pytest.raises(ValueError, match="AdaptiveODESampler chooses its steps itself"):
        model.inpaint(X, jnp.zeros(2, bool), sampler=AdaptiveODESamplerConfig(), **given)
    with pytest.raises(ValueError, match="`num_resamples` must be at least 1"):
        model.inpaint(X, jnp.zeros(2, bool), num_resamples=0, **given)
    for strength in (0.0, 1.5):
        with pytest.raises(ValueError, match=r"`strength` must lie in \(0, 1\]"):
            model.edit(X, strength, **given)
    with pytest.raises(ValueError, match=r"`x` must have shape \(batch, 2\)"):
        model.edit(X[:, :1], 0.5, **given)
