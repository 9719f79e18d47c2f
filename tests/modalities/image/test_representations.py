"""Representations of pictures: round trips, distributions, and log-determinants against autodiff."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    BinarizedConfig,
    DequantizedConfig,
    DiscreteConfig,
    ImageRepresentationConfig,
    LogitConfig,
    SymmetricConfig,
    UnitIntervalConfig,
    config_kinds,
)
from artifex.generative_models.modalities.image import make_image_representation

EXACT = [
    UnitIntervalConfig(),
    SymmetricConfig(),
    DequantizedConfig(),
    LogitConfig(),
    LogitConfig(alpha=1e-6),
    DiscreteConfig(),
]
BINARY = [BinarizedConfig(method=method) for method in ("dynamic", "fixed", "threshold")]


def levels(num_levels, copies=1):
    """Pictures that hold every level, 16-bit ones as int32."""
    dtype = np.uint8 if num_levels <= 256 else np.int32
    return np.tile(np.arange(num_levels, dtype=dtype), (copies, 1))[:, None, None, :]


def test_every_kind_is_tested():
    assert {type(config) for config in EXACT + BINARY} == set(
        config_kinds(ImageRepresentationConfig).values()
    )


@pytest.mark.parametrize("num_levels", [2, 17, 256, 65536])
@pytest.mark.parametrize("config", EXACT, ids=str)
def test_round_trip_is_exact(config, num_levels, key):
    """Every level comes back, whatever the noise; also without the last bit of a level."""
    representation = make_image_representation(config, num_levels)
    data = levels(num_levels, copies=max(1, 2**17 // num_levels))
    x = representation.encode(data, key=key)
    assert x.dtype == (jnp.int32 if representation.support == "tokens" else jnp.float32)
    assert representation.x_shape(data.shape[1:], data.dtype) == x.shape[1:]
    decoded = np.asarray(representation.decode(x))
    np.testing.assert_array_equal(decoded, data, strict=True)
    np.testing.assert_array_equal(representation.encode(data, key=key), x)


@pytest.mark.parametrize(
    ("config", "low", "high"),
    [(UnitIntervalConfig(), 0.0, 1.0), (SymmetricConfig(), -1.0, 1.0), (DiscreteConfig(), 0, 16)],
    ids=str,
)
def test_ends_of_the_interval(config, low, high):
    """Levels are equally spaced from end to end; what lies beyond decodes to the end."""
    representation = make_image_representation(config, 17)
    x = np.asarray(representation.encode(levels(17))).reshape(-1)
    np.testing.assert_allclose(x, np.linspace(low, high, 17), atol=1e-7)
    beyond = np.array([[low - 5], [high + 5]], x.dtype)
    np.testing.assert_array_equal(representation.decode(beyond), [[0], [16]])
    # 255 times the rounded reciprocal of 255 would exceed 1.
    ends = make_image_representation(config, 256).encode(levels(256)[..., [0, 255]]).reshape(-1)
    assert ends.tolist() == [low, 255 if high == 16 else high]


@pytest.mark.parametrize("config", [DequantizedConfig(), LogitConfig(), LogitConfig(alpha=0.2)], ids=str)
def test_log_det_is_that_of_the_jacobian(config, key):
    """Of the map from `v + u` to `x`, by autodiff, at the draw that `encode` made with the same key."""
    representation = make_image_representation(config, 256)
    data = np.random.default_rng(0).integers(0, 256, (3, 2, 2, 3)).astype(np.uint8)
    x = np.asarray(representation.encode(data, key=key), np.float64)
    unit = x
    if isinstance(config, LogitConfig):
        unit = (1 / (1 + np.exp(-x)) - config.alpha) / (1 - 2 * config.alpha)
    noisy = jnp.asarray(unit * 256, jnp.float32)
    jacobians = jax.vmap(jax.jacfwd(lambda v: representation._stretch(v).reshape(-1)))(noisy)
    expected = np.linalg.slogdet(np.asarray(jacobians, np.float64).reshape(3, 12, 12))[1]
    np.testing.assert_allclose(representation.log_det(data, key=key), expected, rtol=1e-5)


def test_dequantized_noise_is_uniform(key):
    """Mean, variance and range of the noise, within 4 standard errors of 2^17 draws."""
    representation = make_image_representation(DequantizedConfig(), 256)
    noise = (
        np.asarray(representation.encode(np.full((1, 1, 256, 512), 7, np.uint8), key=key), np.float64) * 256
        - 7
    )
    count = noise.size
    assert 0 < noise.min() < 1e-3 and 0.999 < noise.max() < 1
    assert abs(noise.mean() - 0.5) < 4 * np.sqrt(1 / 12 / count)
    assert abs(noise.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / count)


@pytest.mark.parametrize("config", EXACT[:2] + EXACT[5:] + BINARY, ids=str)
def test_log_det_of_masses_is_zero(config, key):
    """Where `x` takes one value for each level, or is what is modelled itself, probabilities do not change."""
    representation = make_image_representation(config, 17)
    np.testing.assert_array_equal(representation.log_det(levels(17, copies=2), key=key), [0.0, 0.0])


@pytest.mark.parametrize("method", ["dynamic", "fixed"])
def test_binarization_has_the_grey_value_as_probability(method, key):
    """Frequencies within 4.5 standard errors; black and white are certain."""
    representation = make_image_representation(BinarizedConfig(method=method), 17)
    data = np.tile(levels(17), (4000, 1, 1, 1))
    data[:, 0, 0, 16] = 16
    # Fixed draws depend on the picture, so the pictures must differ: their first pixels count in base 17.
    counter = np.stack([np.arange(4000) // 17**i % 17 for i in range(3)], axis=-1).astype(np.uint8)
    data = np.concatenate([counter[:, None, None, :], data], axis=-1)
    x = np.asarray(representation.encode(data, key=key))[:, 0, 0, 3:]
    assert set(np.unique(x)) == {0.0, 1.0}
    p = np.arange(17) / 16
    error = np.sqrt(p * (1 - p) / 4000)
    assert np.all(np.abs(x.mean(axis=0) - p) <= 4.5 * error)
    pairs = np.corrcoef(x[:, 1:-1].T)[np.triu_indices(15, 1)]
    assert np.abs(pairs).max() < 5 / np.sqrt(4000), "pixels are drawn independently"


def test_fixed_binarization_is_fixed():
    """The same for a picture anywhere in any batch; another seed is another draw."""
    data = np.random.default_rng(1).integers(0, 256, (6, 1, 8, 8)).astype(np.uint8)
    first, other = (make_image_representation(BinarizedConfig(method="fixed", seed=s), 256) for s in (0, 1))
    whole = np.asarray(first.encode(data))
    np.testing.assert_array_equal(first.encode(data[[4, 1]]), whole[[4, 1]])
    assert 0.2 < np.mean(whole != np.asarray(other.encode(data))) < 0.45


def test_dynamic_binarization_needs_a_key(key):
    representation = make_image_representation(BinarizedConfig(), 256)
    data = np.full((2, 1, 8, 8), 128, np.uint8)
    with pytest.raises(ValueError, match="DynamicBinarized draws anew at every call: give `key`"):
        representation.encode(data)
    first = np.asarray(representation.encode(data, key=key))
    assert np.any(first[0] != first[1])
    assert np.any(first != np.asarray(representation.encode(data, key=jax.random.key(1))))


def test_threshold():
    """Above half is white, half and below black; probabilities decode to grey."""
    representation = make_image_representation(BinarizedConfig(method="threshold"), 17)
    np.testing.assert_array_equal(
        np.asarray(representation.encode(levels(17))).reshape(-1), np.arange(17) > 8
    )
    np.testing.assert_array_equal(representation.decode(np.array([[0.0, 0.26, 1.0]])), [[0, 4, 16]])


@pytest.mark.parametrize("config", EXACT[:-1] + BINARY, ids=str)
def test_encoding_twice_is_refused(config, key):
    """Floats are pictures that are encoded already (integers may be both)."""
    with pytest.raises(TypeError, match=r"stored pictures are integers.*encoded already"):
        make_image_representation(config, 256).encode(np.zeros((2, 1, 3, 3), np.float32), key=key)


def test_works_inside_a_compiled_step(key):
    """Representations are static or arrays, so a step that holds one compiles once."""
    representation = make_image_representation(LogitConfig(), 256)
    traces = []

    @jax.jit
    def step(data, key):
        traces.append(1)
        return representation.encode(data, key=key)

    data = levels(256)
    np.testing.assert_allclose(step(data, key), representation.encode(data, key=key), rtol=1e-6)
    step(data, jax.random.key(1))
    assert len(traces) == 1
