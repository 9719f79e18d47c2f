"""Densities and energies along linear equations, whose solutions have closed forms, by every way to solve them."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.linalg

from artifex.generative_models.core.sampling import Solve, make_probes

pytestmark = pytest.mark.usefixtures("cheap_compilation")

A = np.array([[0.3, -1.0, 0.2], [0.8, -0.5, 0.0], [0.1, 0.4, 0.6]])
Y = np.array([1.0, -0.5, 2.0])
SOLVES = {
    "adaptive": Solve(diffrax.Bosh3(), 1e-6, 1e-6, 1000),
    "backsolve": Solve(diffrax.Bosh3(), 1e-6, 1e-6, 1000, adjoint=diffrax.BacksolveAdjoint()),
    "fixed": Solve(diffrax.Bosh3(), 0.0, 0.0, 1000, num_steps=40),
}


class Linear(eqx.Module):
    """The field dy/dt = (1 + t) A y."""

    matrix: jax.Array

    def __call__(self, t, y):
        return (1 + t) * self.matrix @ y


@eqx.filter_jit
def values_and_gradient(solve, matrix, start, end, probes):
    """All that a solve gives, and the derivative of a sum of it with respect to the matrix."""

    def run(matrix):
        made = solve.transport_with_log_det(
            Linear(matrix), jnp.asarray(Y, jnp.float32), start, end, probes=probes, has_energies=True
        )
        alone = solve.transport(Linear(matrix), jnp.asarray(Y, jnp.float32), start, end)
        return jnp.sum(made.y) + made.log_det + 0.1 * made.kinetic + 0.1 * made.jacobian, (made, alone)

    (_, results), gradient = jax.value_and_grad(run, has_aux=True)(matrix)
    return results, gradient


def exact(matrix, start, end):
    """End, log-determinant, kinetic energy and squared norm, by matrix exponentials and quadrature."""

    def clock(t):
        return t + t**2 / 2 - start - start**2 / 2

    def speed(t):
        return np.sum(((1 + t) * matrix @ scipy.linalg.expm(clock(t) * matrix) @ Y) ** 2)

    kinetic = scipy.integrate.quad(speed, start, end)[0]
    jacobian = ((1 + end) ** 3 - (1 + start) ** 3) / 3 * np.sum(matrix**2)
    return scipy.linalg.expm(clock(end) * matrix) @ Y, clock(end) * np.trace(matrix), kinetic, jacobian


@pytest.mark.parametrize("name", SOLVES)
def test_closed_forms(name):
    """In both directions of time; derivatives by differences of the closed form."""
    probes = make_probes((3,), max_exact_size=3, num_probes=1, key=None)
    for start, end in ((0.0, 1.0), (1.0, 0.0)):
        (made, alone), gradient = values_and_gradient(
            SOLVES[name], jnp.asarray(A, jnp.float32), jnp.float32(start), jnp.float32(end), probes
        )
        wanted = exact(A, start, end)
        for ours, true in zip((made.y, made.log_det, made.kinetic, made.jacobian), wanted, strict=True):
            np.testing.assert_allclose(ours, true, rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(alone, wanted[0], rtol=1e-4, atol=1e-4)

        def total(matrix, start=start, end=end):
            y, log_det, kinetic, jacobian = exact(matrix, start, end)
            return y.sum() + log_det + 0.1 * kinetic + 0.1 * jacobian

        step = 1e-5 * np.eye(9).reshape(9, 3, 3)
        differences = np.array([(total(A + d) - total(A - d)) / 2e-5 for d in step]).reshape(3, 3)
        np.testing.assert_allclose(gradient, differences, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("noise", ["rademacher", "gaussian"])
def test_random_directions_are_unbiased(noise):
    """Divergence and norm of a linear field by one direction each: their means are those of the matrix."""
    keys = jax.random.split(jax.random.key(0), 1000)

    @jax.jit
    @jax.vmap
    def estimates(key):
        probes = make_probes((3,), max_exact_size=2, num_probes=1, noise=noise, key=key)
        made = SOLVES["fixed"].transport_with_log_det(
            Linear(jnp.asarray(A, jnp.float32)),
            jnp.asarray(Y, jnp.float32),
            0.0,
            1.0,
            probes=probes,
            has_energies=True,
        )
        return made.log_det, made.jacobian

    wanted = exact(A, 0.0, 1.0)
    for values, true in zip(estimates(keys), (wanted[1], wanted[3]), strict=True):
        values = np.asarray(values, np.float64)
        error = values.std(ddof=1) / len(values) ** 0.5
        assert error > 0
        assert abs(values.mean() - true) < 4 * error


def test_random_directions_need_a_key():
    """And more of them have equal shares."""
    with pytest.raises(ValueError, match=r"examples of 3 entries is an estimate, which needs `key`"):
        make_probes((3,), max_exact_size=2, num_probes=1, key=None)
    probes = make_probes((1, 3), max_exact_size=2, num_probes=4, key=jax.random.key(0))
    assert probes.directions.shape == (4, 1, 3) and probes.share == 0.25
