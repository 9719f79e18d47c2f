"""Bijections beside those of the `flowjax` package, by numbers that it computed with the same weights.

They come from `benchmarks/fixtures/flowjax_bijections.py`.
"""

import math
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file

from artifex.generative_models.core.configuration import (
    MaskedAutoregressiveConfig,
    RationalQuadraticSplineConfig,
)
from artifex.generative_models.models.backbones.bijections import MaskedAutoregressive
from artifex.generative_models.models.backbones.bijections.transformers import (
    AbstractTransformer,
    make_transformer,
)

FIXTURE = Path(__file__).parents[3] / "fixtures" / "flowjax_bijections.safetensors"


class SoftplusAffine(AbstractTransformer):
    """The peer's affine map."""

    @property
    def num_parameters(self):
        """Shift and raw scale."""
        return 2

    def forward_and_log_derivative(self, x, parameters):
        """Y and log dy/dx."""
        scale = jax.nn.softplus(parameters[1] + math.log(math.expm1(1.0)))
        return x * scale + parameters[0], jnp.log(scale)

    def inverse_and_log_derivative(self, y, parameters):
        """X and log dx/dy."""
        scale = jax.nn.softplus(parameters[1] + math.log(math.expm1(1.0)))
        return (y - parameters[0]) / scale, -jnp.log(scale)


@pytest.fixture(scope="module")
def recorded():
    """Arrays by name, in float32."""
    return {name: jnp.asarray(array, jnp.float32) for name, array in load_file(FIXTURE).items()}


def test_rational_quadratic_spline(recorded):
    """Values and log-derivatives, inside of the interval and outside."""
    spline = make_transformer(RationalQuadraticSplineConfig(num_bins=5, bound=3.0))
    parameters, x = recorded["spline.parameters"], recorded["spline.x"]
    assert (np.abs(x) > 3).any()

    @jax.jit
    @jax.vmap
    def both(x):
        return spline.forward_and_log_derivative(x, parameters), spline.inverse_and_log_derivative(
            x, parameters
        )

    (y, log_derivative), (inverse, inverse_log_derivative) = both(x)
    np.testing.assert_allclose(y, recorded["spline.y"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_derivative, recorded["spline.log_derivative"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(inverse, recorded["spline.inverse"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(
        inverse_log_derivative, recorded["spline.inverse_log_derivative"], rtol=1e-5, atol=2e-5
    )


def test_masked_autoregressive(recorded, key):
    """A pass and the sequential inverse, with a condition."""
    values = {name.removeprefix("autoregressive."): array for name, array in recorded.items()}
    config = MaskedAutoregressiveConfig(hidden_size=12, num_layers=2, activation="silu")
    layer = MaskedAutoregressive(config, (4,), condition_size=2, key=key)
    assert layer.conditioner.direct is None
    layer = eqx.tree_at(
        lambda layer: (
            layer.transformer,
            layer.conditioner.condition.weight,
            *(part.weight for part in (*layer.conditioner.layers, layer.conditioner.out)),
            *(part.bias for part in (*layer.conditioner.layers, layer.conditioner.out)),
        ),
        layer,
        (
            SoftplusAffine(),
            values["first.weight"][:, 4:],
            values["first.weight"][:, :4],
            *(values[f"{name}.weight"] for name in ("second", "last")),
            *(values[f"{name}.bias"] for name in ("first", "second", "last")),
        ),
    )
    x, condition = values["x"], values["condition"]
    y, log_det = jax.jit(jax.vmap(layer.forward_and_log_det))(x, condition)
    inverse, inverse_log_det = jax.jit(jax.vmap(layer.inverse_and_log_det))(x, condition)
    np.testing.assert_allclose(y, values["y"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(log_det, values["log_det"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(inverse, values["inverse"], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(inverse_log_det, values["inverse_log_det"], rtol=1e-5, atol=1e-5)
