"""Flows as models: densities that integrate to one, samples that have them, and what training reaches."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from artifex.data import Dataset
from artifex.data.toys.quadrature import grid_points
from artifex.generative_models.core.configuration import (
    ActNormConfig,
    AdamConfig,
    BijectionFlowConfig,
    ChainConfig,
    ElementwiseTransformerConfig,
    ExpLayerConfig,
    IAFConfig,
    LogisticLatentConfig,
    MAFConfig,
    MeshConfig,
    NAFConfig,
    NICEConfig,
    NormalLatentConfig,
    NSFConfig,
    RationalQuadraticSplineConfig,
    RealNVPConfig,
    ReverseConfig,
    StudentTLatentConfig,
    ToyDataConfig,
    TrainingConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.core.trainable import partition_trainable
from artifex.generative_models.factory import create_model
from artifex.generative_models.modalities import evaluate, load_data
from artifex.generative_models.training import fit

SMALL = {"event_shape": (2,), "num_layers": 3, "hidden_size": 16}
FLOWS = {
    "nice": NICEConfig(**SMALL),
    "real_nvp": RealNVPConfig(**SMALL),
    "maf": MAFConfig(**SMALL),
    "iaf_logistic": IAFConfig(**{**SMALL, "num_layers": 2}, latent=LogisticLatentConfig(), activation="tanh"),
    "nsf": NSFConfig(**SMALL, num_classes=3),
    "nsf_autoregressive": NSFConfig(**SMALL, is_autoregressive=True),
    "naf": NAFConfig(**SMALL, monotone_size=4),
}


def shaken(model, scale=0.1):
    """The model with noise on all weights, so that it is far from the identity."""
    trainable, rest = partition_trainable(model)
    leaves, structure = jax.tree.flatten(trainable)
    rng = np.random.default_rng(7)  # NumPy: JAX would compile for each shape
    noisy = [leaf + scale * rng.normal(size=leaf.shape).astype(np.float32) for leaf in leaves]
    return jax.tree.map(
        lambda a, b: b if a is None else a,
        jax.tree.unflatten(structure, noisy),
        rest,
        is_leaf=lambda x: x is None,
    )


@pytest.fixture(scope="module", params=list(FLOWS))
def flow(request):
    """A flow with random weights."""
    return shaken(create_model(FLOWS[request.param], key=jax.random.key(0)))


def given(flow, num):
    """A condition for the flows that take one."""
    return None if flow.config.condition_size == 0 else jnp.full(num, 1)


def test_integrates_to_one_and_samples_have_the_density(flow, key):
    """On a grid around all samples; and means of the coordinates agree between grid and samples."""
    x, log_prob = flow.sample_and_log_prob(4096, key=key, condition=given(flow, 4096))
    again = flow.log_prob(x, condition=given(flow, 4096))
    np.testing.assert_allclose(log_prob, again, atol=2e-3, rtol=1e-3)
    np.testing.assert_allclose(
        flow.generate(4096, key=key, condition=given(flow, 4096)), x, rtol=1e-4, atol=1e-4
    )
    low, high = np.min(x, axis=0), np.max(x, axis=0)
    margin = 0.6 * (high - low)
    limits = (low[0] - margin[0], high[0] + margin[0], low[1] - margin[1], high[1] + margin[1])
    num = 384
    edges = [np.linspace(limits[2 * i], limits[2 * i + 1], num + 1) for i in range(2)]
    centres = [(edge[1:] + edge[:-1]) / 2 for edge in edges]
    points = np.stack(np.meshgrid(*centres, indexing="ij"), -1).reshape(-1, 2).astype(np.float32)
    density = np.exp(np.asarray(flow.log_prob(points, condition=given(flow, len(points))), np.float64))
    area = float(np.prod([edge[1] - edge[0] for edge in edges]))
    np.testing.assert_allclose(area * density.sum(), 1.0, atol=2e-3)
    error = np.std(x, axis=0) / len(x) ** 0.5
    means = area * (density[:, None] * points).sum(0)
    assert np.all(np.abs(means - np.mean(x, axis=0)) < 4 * error + 0.01)


def test_latents(key):
    """Encoding undoes decoding, and interpolation begins and ends at the examples."""
    flow = shaken(create_model(FLOWS["nsf"], key=key))
    x = flow.generate(8, key=key, condition=given(flow, 8))
    np.testing.assert_allclose(flow.reconstruct(x, given(flow, 8)), x, rtol=1e-3, atol=2e-3)
    way = flow.interpolate(x[:4], x[4:], 3, given(flow, 4))
    np.testing.assert_allclose(way[:, 0], x[:4], rtol=1e-3, atol=2e-3)
    np.testing.assert_allclose(way[:, 2], x[4:], rtol=1e-3, atol=2e-3)


def test_temperature(key):
    """The density that is reported is that of the latents so scaled: here of a normal one, through a rotation."""
    flow = create_model(BijectionFlowConfig(event_shape=(3,), bijection=ReverseConfig()), key=key)
    x, log_prob = flow.sample_and_log_prob(2000, key=key, temperature=0.5)
    assert abs(float(jnp.std(x)) - 0.5) < 4 * 0.5 / (2 * x.size) ** 0.5
    wanted = jax.scipy.stats.norm.logpdf(x, 0.0, 0.5).sum(1)
    np.testing.assert_allclose(log_prob, wanted, rtol=1e-5)
    with pytest.raises(ValueError, match="`temperature` must be positive; got 0"):
        flow.sample_and_log_prob(2, key=key, temperature=0.0)


def test_data_above_zero(key):
    """The density integrates to one on the half-line, is zero elsewhere, and other data are an error of `fit`."""
    layers = (ElementwiseTransformerConfig(transformer=RationalQuadraticSplineConfig()), ExpLayerConfig())
    config = BijectionFlowConfig(event_shape=(1,), bijection=ChainConfig(layers=layers))
    flow = shaken(create_model(config, key=key), scale=0.5)
    edges = np.exp(np.linspace(-12.0, 12.0, 20001))
    x = ((edges[1:] + edges[:-1]) / 2).astype(np.float32)
    density = np.exp(np.asarray(flow.log_prob(x[:, None]), np.float64))
    np.testing.assert_allclose(np.sum(density * np.diff(edges)), 1.0, atol=1e-3)
    assert np.all(flow.generate(100, key=key) > 0)
    np.testing.assert_array_equal(flow.log_prob(np.array([[-1.0], [-1e-6]], np.float32)), -np.inf)
    training = TrainingConfig(num_steps=1, batch_size=8)
    with pytest.raises(
        ValueError, match=r"`x` must lie in \[0, inf\].*1 of 8 rows lie outside: row 2 by 0\.5"
    ):
        fit(
            flow,
            np.array([1, 2, -0.5, 1, 2, 3, 4, 5], np.float32)[:, None],
            training,
            key=key,
            progress=False,
        )


def test_act_norm_is_set_from_data(key):
    """Latents of the batch are standardised; the model before is unchanged."""
    config = BijectionFlowConfig(
        event_shape=(1, 3), bijection=ChainConfig(layers=(ReverseConfig(), ActNormConfig()))
    )
    flow = create_model(config, key=key)
    x = 5.0 + jnp.array([[[1.0, 2.0, 3.0]]]) * jax.random.normal(key, (500, 1, 3))
    z = flow.initialized(x).encode(x)
    np.testing.assert_allclose(jnp.mean(z, axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(jnp.std(z, axis=0), 1.0, rtol=1e-4)
    np.testing.assert_allclose(flow.encode(x), x[:, 0, ::-1])


def test_heavy_tails_have_finite_gradients(key):
    """Data of a Cauchy distribution, and far beyond the splines."""
    config = NSFConfig(event_shape=(2,), num_layers=2, hidden_size=8, latent=StudentTLatentConfig(df=1.5))
    flow = shaken(create_model(config, key=key))
    x = jnp.concatenate([jax.random.cauchy(key, (64, 2)), jnp.array([[1e6, -1e6], [5.0, -5.0]])])
    trainable, rest = partition_trainable(flow)

    def loss(trainable):
        model = jax.tree.map(
            lambda a, b: b if a is None else a, trainable, rest, is_leaf=lambda leaf: leaf is None
        )
        return model.loss(x, key=key).total

    value, gradient = jax.value_and_grad(loss)(trainable)
    assert np.isfinite(value)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(gradient))


@pytest.mark.slow
@pytest.mark.parametrize("latent", [NormalLatentConfig(), StudentTLatentConfig(df=1.5)], ids=lambda c: c.kind)
def test_training_on_heavy_tails(key, latent):
    """10,000 steps on a Student-t of 1.5 degrees of freedom, whose variance is infinite, without one that is skipped.

    With latents of the same tails the flow comes near the entropy.
    """
    tails = scipy.stats.t(df=1.5)
    x = tails.rvs((30_000, 2), random_state=0).astype(np.float32)
    data = Dataset(x[:20_000])
    config = NSFConfig(event_shape=(2,), num_layers=4, hidden_size=32, latent=latent)
    training = TrainingConfig(
        num_steps=10_000,
        batch_size=256,
        optimizer=AdamConfig(learning_rate=1e-3),
        schedule=WarmupCosineScheduleConfig(),
        nonfinite="skip",
        log_every=100,
        mesh=MeshConfig(data=1),
    )
    result = fit(create_model(config, key=key), data, training, key=key, progress=False)
    assert len(result.records) == 100
    assert all(np.isfinite(record["loss"]) and record["skipped"] == 0 for record in result.records)
    log_prob = np.asarray(result.model.log_prob(jnp.asarray(x[20_000:])), np.float64)
    assert np.isfinite(log_prob).all()
    if isinstance(latent, StudentTLatentConfig):
        gaps = tails.logpdf(x[20_000:]).sum(1) - log_prob
        assert abs(gaps.mean()) < 0.02 + 4 * gaps.std() / 100


def test_configs_that_do_not_fit(key):
    """Errors say what is required."""
    with pytest.raises(ValueError, match="none of its layers takes a condition"):
        create_model(BijectionFlowConfig(event_shape=(2,), num_classes=3, bijection=ReverseConfig()), key=key)
    flow = create_model(FLOWS["maf"], key=key)
    with pytest.raises(ValueError, match="the model is unconditional"):
        flow.log_prob(jnp.zeros((2, 2)), condition=jnp.zeros(2, jnp.int32))
    with pytest.raises(ValueError, match=r"`x` must have shape \(batch, 2\)"):
        flow.log_prob(jnp.zeros((2, 3)))


def test_two_moons():
    """A small autoregressive spline flow, trained shortly: near the entropy, and still a density."""
    data = load_data(
        ToyDataConfig(dataset="two_moons", num_examples=20_000, validation_size=0, test_size=2048)
    )
    config = NSFConfig(event_shape=(2,), num_layers=3, hidden_size=32, is_autoregressive=True)
    training = TrainingConfig(
        num_steps=1500,
        batch_size=256,
        optimizer=AdamConfig(learning_rate=4e-3),
        schedule=WarmupCosineScheduleConfig(warmup_fraction=0.02),
        mesh=MeshConfig(data=1),
    )
    model = create_model(config, key=jax.random.key(0))
    model = fit(model, data.train, training, key=jax.random.key(1), progress=False).model
    found = evaluate(model, data.test, key=jax.random.key(2), metrics=["nll_gap"], batch_size=2048)
    assert -0.01 < found["nll_gap"] < 0.05
    points = data.representation
    x_min, x_max, y_min, y_max = points.toy.limits
    cells, area = grid_points(points.toy.limits, max(x_max - x_min, y_max - y_min) / 200)
    log_prob = model.log_prob(points.encode(cells)) + points.log_det(cells)
    np.testing.assert_allclose(area * np.exp(np.asarray(log_prob, np.float64)).sum(), 1.0, atol=5e-3)
