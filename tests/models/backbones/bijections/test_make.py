"""Bijections from configs, planar and radial flows at the ends of what they can be."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    ActNormConfig,
    BijectionConfig,
    ChainConfig,
    ConfigError,
    CouplingLayerConfig,
    ElementwiseTransformerConfig,
    InverseConfig,
    MaskedAutoregressiveConfig,
    PermutationConfig,
    RationalQuadraticSplineConfig,
    ScannedConfig,
    config_kinds,
    from_yaml,
    to_yaml,
)
from artifex.generative_models.models.backbones.bijections import (
    Inverted,
    MaskedAutoregressive,
    Planar,
    Radial,
    ScannedBijection,
    Sylvester,
    make_bijection,
)

pytestmark = pytest.mark.usefixtures("cheap_compilation")

# Shapes from and to, of the kinds that map no vectors.
SHAPES = {
    "conv_1x1": ((4, 2, 2), (4, 2, 2)),
    "image_coupling": ((4, 2, 2), (4, 2, 2)),
    "set_coupling": ((3, 2), (3, 2)),
    "sphere_spline": ((3,), (3,)),
    "split": ((8,), (2, 2, 2)),
    "squeeze": ((1, 4, 4), (4, 2, 2)),
    "transformer_autoregressive": ((3, 2), (3, 2)),
    "unsqueeze": ((4, 2, 2), (1, 4, 4)),
}


@pytest.mark.parametrize("kind", config_kinds(BijectionConfig))
def test_every_kind_is_built(kind, key):
    """By its defaults, with and without a condition; and its YAML is read back."""
    config = config_kinds(BijectionConfig)[kind]()
    shape, out_shape = SHAPES.get(kind, ((4,), (4,)))
    assert from_yaml(BijectionConfig, to_yaml(config)) == config
    for condition_size in (0, 2):
        bijection = jax.eval_shape(
            lambda key, size=condition_size: make_bijection(config, shape, condition_size=size, key=key), key
        )
        assert (bijection.event_shape, bijection.out_shape) == (shape, out_shape)
        assert bijection.condition_size in (0, condition_size)


def test_a_flow_from_yaml(key):
    """A neural spline flow, autoregressive, with permutations and norms, scanned, with a condition."""
    layer = ChainConfig(
        layers=(
            PermutationConfig(),
            InverseConfig(
                layer=MaskedAutoregressiveConfig(transformer=RationalQuadraticSplineConfig(), hidden_size=6)
            ),
            ActNormConfig(),
        )
    )
    config = ChainConfig(
        layers=(
            ScannedConfig(layer=layer, num_layers=3),
            ElementwiseTransformerConfig(),
            CouplingLayerConfig(),
        )
    )
    config = from_yaml(BijectionConfig, to_yaml(config))
    flow = eqx.filter_jit(make_bijection)(config, (3,), condition_size=2, key=key)
    scanned = flow.bijections[0]
    assert isinstance(scanned, ScannedBijection)
    inverted = scanned.stack.layers.bijections[1]
    assert isinstance(inverted, Inverted) and isinstance(inverted.bijection, MaskedAutoregressive)
    permutations = np.asarray(scanned.stack.layers.bijections[0].permutation)
    assert permutations.shape == (3, 3)
    np.testing.assert_array_equal(np.sort(permutations, axis=1), np.broadcast_to(np.arange(3), (3, 3)))

    @jax.jit
    def round_trip(x, condition):
        y, log_det = flow.forward_and_log_det(x, condition)
        return (*flow.inverse_and_log_det(y, condition), log_det)

    x, condition = jnp.array([0.3, -1.0, 2.0]), jnp.array([1.0, -1.0])
    back, inverse_log_det, log_det = round_trip(x, condition)
    np.testing.assert_allclose(back, x, atol=1e-4)
    np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-4)


def test_a_chain_has_layers():
    """None are an error of the config."""
    with pytest.raises(ConfigError, match="layers"):
        ChainConfig(layers=())


@pytest.mark.parametrize("make", [Planar, Radial, Sylvester])
def test_strong_contractions_stay_invertible(make, key):
    """With parameters twenty times as large as at first, the determinant is positive, and the inverse is found."""
    with jax.enable_x64(True):
        layer = make((3,), key=key)
        layer = jax.tree.map(lambda leaf: 20.0 * leaf, layer)
        x = jnp.asarray(np.random.default_rng(0).normal(size=(20, 3)))

        @jax.jit
        @jax.vmap
        def round_trip(x):
            y, log_det = layer.forward_and_log_det(x)
            return layer.inverse(y), log_det, jnp.linalg.det(jax.jacfwd(layer.forward)(x))

        back, log_det, determinant = round_trip(x)
        np.testing.assert_allclose(back, x, atol=1e-7)
        assert np.all(determinant > 0)
        np.testing.assert_allclose(np.exp(log_det), determinant, rtol=1e-6)


def test_radial_at_its_centre(key):
    """Derivatives there are finite."""
    layer = Radial((2,), key=key)
    centre = layer.parameters.vector[:2]
    assert np.isfinite(jax.jit(jax.jacrev(layer.forward))(centre)).all()
    assert np.isfinite(jax.jit(jax.grad(lambda y: layer.inverse_and_log_det(y)[1]))(centre)).all()


def test_more_units_than_entries(key):
    """Orthonormal columns run out."""
    with pytest.raises(ValueError, match="between 1 and the 3 entries"):
        Sylvester((3,), num_units=4, key=key)
