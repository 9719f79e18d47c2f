"""Increasing maps of one number: what each promises of its values, knots, tails and densities."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.backbones.bijections.table import TRANSFORMERS

from artifex.generative_models.core.configuration import (
    ConfigError,
    MonotoneNetworkConfig,
    RationalQuadraticSplineConfig,
)
from artifex.generative_models.models.backbones.bijections.transformers import make_transformer
from artifex.generative_models.models.backbones.bijections.transformers.knots import make_pieces

pytestmark = pytest.mark.usefixtures("cheap_compilation")

BOUNDED = ("rational_quadratic_spline", "linear_spline", "cubic_spline")
ITERATIVE = ("cubic_spline", "mixture_cdf", "monotone_network")


def end(name):
    """Where the interval of a spline ends."""
    return math.pi if name == "circular_spline" else TRANSFORMERS[name].bound


@pytest.mark.parametrize("name", [name for name in TRANSFORMERS if name != "monotone_network"])
def test_zeros_are_the_identity(name):
    """In both directions, with a log-derivative of 0."""
    transformer = make_transformer(TRANSFORMERS[name])
    zeros = jnp.zeros(transformer.num_parameters)
    x = jnp.linspace(-3.1, 3.1, 23)
    for method in (transformer.forward_and_log_derivative, transformer.inverse_and_log_derivative):
        y, log_derivative = jax.jit(jax.vmap(functools.partial(method, parameters=zeros)))(x)
        np.testing.assert_allclose(y, x, atol=2e-6)
        np.testing.assert_allclose(log_derivative, 0.0, atol=2e-5)


@pytest.mark.parametrize("name", [*BOUNDED, "circular_spline"])
def test_knots_and_edges(name):
    """Exactly at knots and ends, and beside the ends, everything is finite, and the map goes through them."""
    transformer = make_transformer(TRANSFORMERS[name])
    zeros, bound = jnp.zeros(transformer.num_parameters), end(name)
    next_to = np.nextafter(np.float32(bound), [np.float32(0), np.float32(9)])
    knots = jnp.asarray(
        [*np.linspace(-bound, bound, TRANSFORMERS[name].num_bins + 1), *next_to, *-next_to], jnp.float32
    )

    @jax.jit
    def gradients(x):
        def both(x, parameters):
            results = (
                transformer.forward_and_log_derivative(x, parameters),
                transformer.inverse_and_log_derivative(x, parameters),
            )
            return jnp.stack(jax.tree.leaves(results))

        return jax.vmap(lambda x: (both(x, zeros), *jax.jacrev(both, (0, 1))(x, zeros)))(x)

    values, by_x, by_parameters = gradients(knots)
    assert np.isfinite(values).all() and np.isfinite(by_x).all() and np.isfinite(by_parameters).all()
    angles = np.angle(np.exp(1j * (np.asarray(values[:, :3:2]) - np.asarray(knots)[:, None])))
    np.testing.assert_allclose(angles, 0.0, atol=3e-6)  # a difference, modulo a turn where there is a circle


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_density_integrates_to_one(name):
    """A standard normal, or on circle and interval the uniform distribution, through random maps, which increase."""
    transformer = make_transformer(TRANSFORMERS[name])
    is_circular = name == "circular_spline"
    closed = {"circular_spline": math.pi, "interval_spline": 4.0}
    reach = closed.get(name, 10.0 if name in BOUNDED else 80.0)
    y = jnp.linspace(-reach, reach, 20_001)[:-1]

    @jax.jit
    @jax.vmap
    def inverse(parameters):
        return jax.vmap(lambda y: transformer.inverse_and_log_derivative(y, parameters))(y)

    parameters = 0.7 * jax.random.normal(jax.random.key(3), (4, transformer.num_parameters))
    x, log_derivative = inverse(parameters)
    log_base = -math.log(2 * reach) if name in closed else jax.scipy.stats.norm.logpdf(x)
    total = jnp.mean(jnp.exp(log_base + log_derivative), axis=1) * 2 * reach
    np.testing.assert_allclose(total, 1.0, atol=1e-3)
    num_falls = (np.diff(x, axis=1) <= 0).sum(axis=1)
    assert np.all(num_falls <= (1 if is_circular else 0))  # a turned circle begins anew once


@pytest.mark.parametrize("name", ITERATIVE)
def test_derivatives_of_iterative_inverses(name):
    """Second derivatives of the inverse are those of the forward map: (log dx/dy)' = -(log dy/dx)' dx/dy."""
    with jax.enable_x64(True):
        transformer = make_transformer(TRANSFORMERS[name])
        parameters = jax.random.normal(jax.random.key(4), (transformer.num_parameters,))

        @jax.jit
        def both(x):
            y, log_derivative = transformer.forward_and_log_derivative(x, parameters)
            _, slope = jax.value_and_grad(lambda x: transformer.forward_and_log_derivative(x, parameters)[1])(
                x
            )
            inverse_slope = jax.grad(lambda y: transformer.inverse_and_log_derivative(y, parameters)[1])(y)
            return inverse_slope, -slope * jnp.exp(-log_derivative)

        for x in (-2.0, 0.3, 1.9):
            np.testing.assert_allclose(*both(jnp.asarray(x)), rtol=1e-8, atol=1e-10)


def test_the_derivative_is_smooth_over_knots():
    """Of a rational-quadratic spline, at the ends of its interval too, where it is 1."""
    with jax.enable_x64(True):
        config = TRANSFORMERS["rational_quadratic_spline"]
        transformer = make_transformer(config)
        parameters = jax.random.normal(jax.random.key(5), (transformer.num_parameters,))
        pieces = make_pieces(parameters[: config.num_bins], config.bound, config.min_width)
        knots = jnp.append(pieces.start, config.bound)
        function = jax.jit(jax.vmap(lambda x: transformer.forward_and_log_derivative(x, parameters)[1]))
        left, right = function(knots - 1e-9), function(knots + 1e-9)
        np.testing.assert_allclose(left, right, atol=1e-6)
        np.testing.assert_allclose(left[jnp.array([0, -1])], 0.0, atol=1e-6)
        assert np.abs(left[1:-1]).max() > 0.1


def test_what_cannot_be():
    """Least widths that fill the interval; a network without units."""
    with pytest.raises(ConfigError, match="`min_width` times `num_bins`"):
        RationalQuadraticSplineConfig(num_bins=10, min_width=0.1)
    with pytest.raises(ConfigError, match="hidden_size"):
        MonotoneNetworkConfig(hidden_size=0)
