"""What every bijection must satisfy, at random parameters, in float32 and float64."""

import functools
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.backbones.bijections.table import ROWS, random_bijection

from artifex.generative_models.core.trainable import partition_trainable

pytestmark = pytest.mark.usefixtures("cheap_compilation")

BATCH = 6
TOLERANCE = {"float32": 2e-4, "float64": 1e-9}
EXTREMES = (-1e6, -1e3, 1e3, 1e6, 0.0, 3.0)


@eqx.filter_jit
def measured(bijection, x, y, condition):
    """All that the tests look at, for a batch x of the domain and a batch y of the range, in one program.

    Gradients are taken in float32 only, where something could overflow.
    """

    def run(trainable, rest, x, y, condition):
        bijection = eqx.combine(trainable, rest)
        forward, log_det = jax.vmap(bijection.forward_and_log_det)(x, condition)
        twice = None if condition is None else jnp.concatenate([condition, condition])
        ys = jnp.concatenate([jax.lax.stop_gradient(forward), y])
        inverse, inverse_log_det = jax.vmap(bijection.inverse_and_log_det)(ys, twice)
        results = (forward, log_det, inverse, inverse_log_det)
        return sum(jnp.sum(jnp.sin(leaf + 0.3)) for leaf in results), results

    def flat_forward(x, condition):
        return bijection.forward(x.reshape(bijection.event_shape), condition).ravel()

    trainable, rest = partition_trainable(bijection)
    gradients = ()
    if x.dtype == jnp.float32:
        with_gradients = jax.value_and_grad(run, (0, 2, 3), has_aux=True)
        (_, results), gradients = with_gradients(trainable, rest, x, y, condition)
    else:
        _, results = run(trainable, rest, x, y, condition)
    forward, log_det, inverse, inverse_log_det = results
    jacobian = jax.vmap(jax.jacfwd(flat_forward))(x.reshape(len(x), -1), condition)
    return {
        "forward": forward,
        "log_det": log_det,
        "round_trip": inverse[: len(x)],
        "inverse_log_det": inverse_log_det[: len(x)],
        "inverse": inverse[len(x) :],
        "log_det_of_inverse": inverse_log_det[len(x) :],
        "jacobian_log_det": jnp.linalg.slogdet(jacobian)[1],
        "gradients": gradients,
    }


@functools.cache
def at_random(name: str, dtype: str) -> dict[str, Any]:
    """A row's bijection, a batch, and what was measured."""
    with jax.enable_x64(dtype == "float64"):
        row = ROWS[name]
        bijection = random_bijection(row, jax.random.key(1))
        x_key, y_key, condition_key = jax.random.split(jax.random.key(2), 3)
        x = row.domain(2.0 * jax.random.normal(x_key, (BATCH, *bijection.event_shape)))
        y = 2.0 * jax.random.normal(y_key, (BATCH, *bijection.out_shape))
        condition = None
        if bijection.condition_size:
            condition = jax.random.normal(condition_key, (BATCH, bijection.condition_size))
        results = measured(bijection, x, y, condition)
        return {"bijection": bijection, "x": x, "y": y, "condition": condition, **jax.device_get(results)}


def extremes(shape: tuple[int, ...], dtype: Any) -> Any:
    """A batch with numbers far outside and small ones beside each other."""
    size = int(np.prod(shape))
    numbers = [np.roll(np.resize(EXTREMES, size + 1), shift)[:size] for shift in range(BATCH)]
    return jnp.asarray(np.stack(numbers).reshape(BATCH, *shape), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ROWS)
def test_inverse_and_log_det(name, dtype):
    """The inverse of the forward map is the identity; log-determinants are those of the Jacobian by autodiff."""
    case, tolerance = at_random(name, dtype), TOLERANCE[dtype]
    for value in jax.tree.leaves({key: case[key] for key in ("forward", "log_det", "inverse", "gradients")}):
        assert value.dtype == dtype
    close = functools.partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance)
    close(case["round_trip"], case["x"])
    close(case["log_det"], case["jacobian_log_det"])
    close(case["inverse_log_det"], -case["log_det"])


@pytest.mark.parametrize("name", ROWS)
def test_gradients_are_finite(name):
    """With respect to parameters and inputs, in both directions, for numbers of usual size and far outside."""
    case, row = at_random(name, "float32"), ROWS[name]
    bijection, condition = case["bijection"], case["condition"]
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(case["gradients"]))
    x = row.domain(extremes(bijection.event_shape, jnp.float32)) if row.takes_all else case["x"]
    y = extremes(bijection.out_shape, jnp.float32) if row.covers_all else case["y"]
    results = measured(bijection, x, y, condition)
    for key in ("forward", "log_det", "inverse", "log_det_of_inverse", "gradients"):
        assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(results[key])), key


@pytest.mark.parametrize("name", ROWS)
def test_a_condition_changes_the_output(name):
    """Of a conditional bijection, in both directions; an unconditional one refuses it."""
    case = at_random(name, "float32")
    bijection, x, y, condition = case["bijection"], case["x"], case["y"], case["condition"]
    if condition is None:
        with pytest.raises(ValueError, match="is unconditional"):
            bijection.forward(x[0], jnp.zeros(2))
        return
    other = measured(bijection, x, y, condition + 1.0)
    for direction in ("forward", "inverse"):
        moved = np.abs(other[direction] - case[direction]).reshape(BATCH, -1)
        assert np.all(np.max(moved, axis=1) > 1e-3)
    with pytest.raises(ValueError, match="needs a condition vector"):
        bijection.forward(x[0])
    with pytest.raises(ValueError, match=r"needs a condition vector of shape"):
        bijection.inverse(y[0], jnp.zeros(bijection.condition_size + 1))


@pytest.mark.parametrize("name", ROWS)
def test_shape_mismatch(name):
    """A batch, given by mistake, is an error that names vmap."""
    bijection = at_random(name, "float32")["bijection"]
    with pytest.raises(ValueError, match=r"maps one example of shape .* jax.vmap"):
        bijection.forward_and_log_det(jnp.zeros((4, *bijection.event_shape)))
    with pytest.raises(ValueError, match=r"maps one example of shape .* jax.vmap"):
        bijection.inverse(jnp.zeros((4, *bijection.out_shape)))
