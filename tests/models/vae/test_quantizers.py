"""Quantizers: nearest neighbours, moving averages, restarts and codes against NumPy; gradients by autodiff."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from artifex.generative_models.core.configuration import (
    ConfigError,
    FSQConfig,
    ResidualQuantizerConfig,
    VectorQuantizerConfig,
)
from artifex.generative_models.core.trainable import Buffer, partition_trainable
from artifex.generative_models.models.vae.quantizers import (
    Codebook,
    VectorQuantizer,
    make_quantizer,
    nearest_codes,
    perplexity_batch,
)
from artifex.generative_models.models.vae.quantizers.codebook import (
    first_use_batch,
    learn_batch,
    restart_unused_batch,
    update_batch,
)

VECTOR = VectorQuantizerConfig(num_codes=6, embedding_size=3, restart_fraction=0.0)
RESIDUAL = ResidualQuantizerConfig(num_levels=3, num_codes=6, embedding_size=3)
FSQ = FSQConfig(levels=(4, 3, 5))
CONFIGS = {"vector": VECTOR, "residual": RESIDUAL, "fsq": FSQ}


def used_codebook(vectors, counts):
    vectors, counts = jnp.asarray(vectors, jnp.float32), jnp.asarray(counts, jnp.float32)
    return Codebook(vectors, counts, vectors * counts[:, None])


def trained(quantizer, z, key):
    """After its first batch."""
    return eqx.filter_jit(lambda quantizer, z, key: quantizer.quantize_batch(z, key=key).quantizer)(
        quantizer, z, key
    )


@pytest.mark.parametrize("offset", [0.0, 1000.0])
def test_nearest_codes_against_brute_force(offset):
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(40, 5)) + offset).astype(np.float32)
    points = (rng.normal(size=(300, 5)) + offset).astype(np.float32)
    distances = np.sum((points[:, None].astype(np.float64) - vectors[None]) ** 2, axis=-1)
    codes = np.asarray(nearest_codes(jnp.asarray(vectors), jnp.asarray(points)))
    best = distances.min(axis=1)
    # A code may differ only where two are equally near up to round-off.
    np.testing.assert_allclose(distances[np.arange(300), codes], best, atol=1e-3 if offset else 1e-5)
    assert np.mean(codes == distances.argmin(axis=1)) > 0.99


def test_moving_averages_against_a_hand_computation():
    """Two steps of appendix A.1 with decay 0.9, in NumPy."""
    vectors = np.array([[0.0, 0.0], [4.0, 0.0], [100.0, 0.0]])
    counts, sums = np.array([2.0, 1.0, 0.0]), vectors * np.array([[2.0], [1.0], [0.0]])
    codebook = Codebook(*(jnp.asarray(a, jnp.float32) for a in (vectors, counts, sums)))
    points = np.array([[1.0, 1.0], [0.0, -1.0], [5.0, 0.0], [3.0, 3.0], [4.0, 0.0]])
    for _ in range(2):
        nearest = ((points[:, None] - vectors[None]) ** 2).sum(-1).argmin(1)
        for i in range(3):
            counts[i] = 0.9 * counts[i] + 0.1 * np.sum(nearest == i)
            sums[i] = 0.9 * sums[i] + 0.1 * points[nearest == i].sum(axis=0)
            if counts[i] > 0:
                vectors[i] = sums[i] / counts[i]
        inputs = jnp.asarray(points, jnp.float32)
        codebook = update_batch(codebook, inputs, nearest_codes(codebook.vectors, inputs), decay=0.9)
    np.testing.assert_allclose(codebook.counts, counts, rtol=1e-6)
    np.testing.assert_allclose(codebook.sums, sums, rtol=1e-6)
    np.testing.assert_allclose(codebook.vectors, vectors, rtol=1e-6)
    np.testing.assert_array_equal(codebook.vectors[2], [100.0, 0.0])  # never used, so it stays


def test_unused_codes_restart_at_points_of_the_batch(key):
    codebook = used_codebook([[0.0, 0.0], [9.0, 9.0], [1.0, 1.0], [7.0, 7.0]], [5.0, 0.1, 5.0, 0.0])
    points = jnp.arange(20, dtype=jnp.float32).reshape(10, 2) + 50.0
    new = restart_unused_batch(codebook, points, fraction=0.1, key=key)
    mean = 10.1 / 4
    np.testing.assert_array_equal(new.vectors[jnp.array([0, 2])], codebook.vectors[jnp.array([0, 2])])
    np.testing.assert_allclose(new.counts, [5.0, mean, 5.0, mean], rtol=1e-6)
    for i in (1, 3):
        assert np.any(np.all(np.asarray(new.vectors[i]) == np.asarray(points), axis=1))
        np.testing.assert_allclose(new.sums[i], new.vectors[i] * mean, rtol=1e-6)
    unchanged = restart_unused_batch(codebook, points, fraction=0.0, key=key)
    np.testing.assert_array_equal(unchanged.vectors, codebook.vectors)


@pytest.mark.parametrize("num_points", [4, 40])
def test_the_first_batch_gives_the_first_codebook(key, num_points):
    quantizer = VectorQuantizer(VECTOR, key=key)
    points = jax.random.normal(key, (num_points, 3)) + 10.0
    codebook = first_use_batch(quantizer.codebook.value, points, key=key)
    for vector in np.asarray(codebook.vectors):
        assert np.any(np.all(vector == np.asarray(points), axis=1))
    if num_points >= 6:
        assert len(np.unique(codebook.vectors, axis=0)) == 6
    again = first_use_batch(codebook, points - 5.0, key=key)
    np.testing.assert_array_equal(again.vectors, codebook.vectors)


@pytest.mark.parametrize(("restart_fraction", "low", "high"), [(0.1, 7.5, 8.0), (0.0, 1.0, 2.5)])
def test_restart_brings_a_collapsed_codebook_back_into_use(key, restart_fraction, low, high):
    """Eight clusters, and a codebook that has all but one code far from them."""
    centres = 5.0 * jnp.eye(8)
    codebook = used_codebook(jnp.full((8, 8), 100.0).at[0].set(0.0), jnp.ones(8))

    def step(codebook, key):
        label_key, noise_key, learn_key = jax.random.split(key, 3)
        labels = jax.random.randint(label_key, (256,), 0, 8)
        points = centres[labels] + 0.1 * jax.random.normal(noise_key, (256, 8))
        codebook, codes, _ = learn_batch(
            codebook, points, decay=0.9, restart_fraction=restart_fraction, key=learn_key
        )
        return codebook, perplexity_batch(codes, 8)

    _, perplexity = jax.jit(lambda keys: jax.lax.scan(step, codebook, keys))(jax.random.split(key, 400))
    assert low <= perplexity[-1] <= high + 1e-4


def test_perplexity_against_the_formula():
    assert perplexity_batch(jnp.array([[0, 2], [4, 6]]), 8) == pytest.approx(4.0)
    assert perplexity_batch(jnp.zeros((3, 4), jnp.int32), 8) == pytest.approx(1.0)
    codes = np.random.default_rng(0).integers(0, 7, size=(5, 9)) ** 2 // 6
    expected = np.exp(scipy.stats.entropy(np.bincount(codes.ravel())))
    assert perplexity_batch(jnp.asarray(codes), 20) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", CONFIGS)
def test_training_and_encoding_agree(kind, key):
    """The decoder sees in training exactly the vectors of the codes, which are those that `encode` gives."""
    quantizer = make_quantizer(CONFIGS[kind], key=key)
    z = jax.random.normal(key, (4, 3, 2, 5))
    quantizer = trained(quantizer, z, key)
    batch = eqx.filter_jit(quantizer.quantize_batch)(z, key=key)
    np.testing.assert_array_equal(batch.vectors, jax.vmap(quantizer.decode)(batch.codes))
    np.testing.assert_array_equal(batch.codes, jax.vmap(quantizer.encode)(z))
    assert batch.codes.shape == ((4, 3, 2, 5) if kind == "residual" else (4, 2, 5))
    assert batch.codes.min() >= 0 and batch.codes.max() < quantizer.num_codes


@pytest.mark.parametrize("kind", ["vector", "residual"])
def test_gradients_pass_straight_through_and_never_to_the_codebook(kind, key):
    quantizer = make_quantizer(CONFIGS[kind], key=key)
    z = jax.random.normal(key, (4, 3, 2, 5))
    weights = jax.random.normal(jax.random.key(1), z.shape)
    quantizer = trained(quantizer, z, key)

    @eqx.filter_jit
    @eqx.filter_grad
    def gradients(inputs, use_commitment):
        batch = inputs[0].quantize_batch(inputs[1], key=key)
        return jnp.sum(batch.commitment) if use_commitment else jnp.sum(weights * batch.vectors)

    of_quantizer, of_z = gradients((quantizer, z), False)
    np.testing.assert_array_equal(of_z, weights)
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(of_quantizer))
    assert partition_trainable(quantizer)[0] == eqx.filter(quantizer, lambda _: False)
    of_quantizer, of_z = gradients((quantizer, z), True)
    assert all(np.all(leaf == 0) for leaf in jax.tree.leaves(of_quantizer))
    # d/dz of 0.25 |z - partial sum|^2, added over the levels.
    codes = np.asarray(jax.vmap(quantizer.encode)(z)).reshape(4, -1, 2, 5)
    books = np.asarray(
        quantizer.codebooks.value.vectors if kind == "residual" else quantizer.codebook.value.vectors[None]
    )
    expected, partial = np.zeros(z.shape), np.zeros(z.shape)
    for level, book in enumerate(books):
        partial = partial + book[codes[:, level]].transpose(0, 3, 1, 2)
        expected += 2 * 0.25 * (np.asarray(z) - partial)
    np.testing.assert_allclose(of_z, expected, atol=1e-5)


def test_vector_codes_survive_the_round_trip(key):
    quantizer = VectorQuantizer(VectorQuantizerConfig(num_codes=64, embedding_size=4), key=key)
    codes = jnp.arange(64).reshape(8, 8)
    np.testing.assert_array_equal(quantizer.encode(quantizer.decode(codes)), codes)


def test_residual_codes_survive_the_round_trip_where_levels_refine(key):
    """With each level well inside the cells of the one before, every combination of codes comes back."""
    config = ResidualQuantizerConfig(num_levels=3, num_codes=4, embedding_size=2)
    quantizer = make_quantizer(config, key=key)
    corners = jnp.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]])
    books = jnp.stack([corners, corners / 4, corners / 16])
    quantizer = eqx.tree_at(lambda q: q.codebooks.value.vectors, quantizer, books)
    codes = jnp.stack(jnp.meshgrid(*[jnp.arange(4)] * 3, indexing="ij")).reshape(3, 8, 8)
    np.testing.assert_array_equal(quantizer.encode(quantizer.decode(codes)), codes)
    vectors = sum(np.asarray(books)[level][np.asarray(codes)[level]] for level in range(3))
    np.testing.assert_allclose(quantizer.decode(codes), vectors.transpose(2, 0, 1))


def test_each_residual_level_lowers_the_error(key):
    quantizer = make_quantizer(RESIDUAL, key=key)
    z = jax.random.normal(key, (8, 3, 4, 4))
    quantizer = trained(quantizer, z, key)
    codes = np.asarray(jax.vmap(quantizer.encode)(z))
    residual, errors = np.asarray(z).transpose(0, 2, 3, 1), []
    for level in range(3):
        residual = residual - np.asarray(quantizer.codebooks.value.vectors)[level][codes[:, level]]
        errors.append(np.mean(residual**2))
    assert np.mean(np.asarray(z) ** 2) > errors[0] > errors[1] > errors[2]


@pytest.mark.parametrize("levels", [(3,), (4,), (5,), (8,), (4, 3, 5), (8, 5, 5, 5)])
def test_finite_scalar_codes_survive_the_round_trip(levels, key):
    quantizer = make_quantizer(FSQConfig(levels=levels), key=key)
    codes = jnp.arange(quantizer.num_codes).reshape(1, -1)
    vectors = quantizer.decode(codes)
    np.testing.assert_array_equal(quantizer.codes_of(vectors), codes)
    assert len(np.unique(np.asarray(vectors)[:, 0], axis=1).T) == np.prod(levels)
    assert np.abs(vectors).max() == 1.0
    # Against mixed radix, digit by digit.
    code = quantizer.num_codes - 2
    expected, rest = [], code
    for count in levels:
        expected.append((rest % count - count // 2) / (count // 2))
        rest //= count
    np.testing.assert_allclose(vectors[:, 0, code], expected, rtol=1e-6)


@pytest.mark.parametrize("count", [3, 4, 5, 6, 7, 8])
def test_finite_scalars_reach_every_level_in_order(count, key):
    """Even and odd numbers of levels: all are reached, none beyond them, and 0 stays 0."""
    quantizer = make_quantizer(FSQConfig(levels=(count,)), key=key)
    z = jnp.linspace(-9.0, 9.0, 2001)[None, None]
    codes = np.asarray(quantizer.encode(z))[0]
    np.testing.assert_array_equal(np.unique(codes), np.arange(count))
    assert np.all(np.diff(codes) >= 0)
    assert codes[1000] == count // 2
    assert quantizer.decode(quantizer.encode(jnp.zeros((1, 1, 1))))[0, 0, 0] == 0.0
    assert quantizer.bound(jnp.zeros((1, 1, 1)))[0, 0, 0] == pytest.approx(0.0, abs=1e-6)


def test_finite_scalars_have_the_gradient_of_the_bound(key):
    quantizer = make_quantizer(FSQ, key=key)
    z = jax.random.normal(key, (2, 3, 2, 2))
    weights = jax.random.normal(jax.random.key(1), z.shape)
    gradient = jax.grad(lambda z: jnp.sum(weights * quantizer.quantize_batch(z).vectors))(z)
    half_widths = jnp.broadcast_to(jnp.array([2.0, 1.0, 2.0])[None, :, None, None], z.shape)
    smooth = jax.grad(lambda z: jnp.sum(weights * jax.vmap(quantizer.bound)(z) / half_widths))(z)
    np.testing.assert_allclose(gradient, smooth, rtol=1e-5)
    assert np.all(gradient != 0)


@pytest.mark.parametrize("kind", ["vector", "residual"])
def test_statistics_are_those_of_the_whole_batch_on_eight_devices(kind, key):
    config = CONFIGS[kind].replace(restart_fraction=0.5)
    quantizer = make_quantizer(config, key=key)
    z = jax.random.normal(key, (8, 3, 2, 2))
    quantizer = trained(quantizer, z, key)
    mesh = jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,))
    compute = eqx.filter_jit(lambda quantizer, z: quantizer.quantize_batch(z, key=key))
    one = compute(quantizer, z + 0.5)
    eight = compute(quantizer, jax.device_put(z + 0.5, NamedSharding(mesh, PartitionSpec("data"))))
    np.testing.assert_array_equal(eight.codes, one.codes)
    for a, b in zip(jax.tree.leaves(eight.quantizer), jax.tree.leaves(one.quantizer), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_codebooks_are_buffers(key):
    assert isinstance(make_quantizer(VECTOR, key=key).codebook, Buffer)
    assert isinstance(make_quantizer(RESIDUAL, key=key).codebooks, Buffer)


def test_wrong_configs_are_errors():
    with pytest.raises(ConfigError, match="greater than or equal to 3; got 2"):
        FSQConfig(levels=(5, 2))
    with pytest.raises(ConfigError, match="num_codes"):
        VectorQuantizerConfig(num_codes=1)
