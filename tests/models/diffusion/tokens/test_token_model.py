"""The diffusion model of tokens: its bounds against enumeration, guidance, infilling, and what it learns."""

import functools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tests.models.diffusion.tokens.enumeration import EXAMPLES, LENGTH, VOCAB, Chain, udlm_rate

from artifex.generative_models.core.configuration import (
    AdamConfig,
    CosineTokenScheduleConfig,
    MaskedDiffusionConfig,
    MeshConfig,
    TokenMLPConfig,
    TokenTransformerConfig,
    TrainingConfig,
    UniformDiffusionConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.training import fit

CONFIGS = {"masked": MaskedDiffusionConfig, "uniform": UniformDiffusionConfig}
TINY = TokenMLPConfig(hidden_size=16, num_layers=1)
SMALL = TokenTransformerConfig(hidden_size=32, num_layers=2, num_heads=2)


def moved(config, *, seed=0, size=0.3):
    """A model with weights away from their start, where all tokens are alike."""
    model = create_model(config, key=jax.random.key(seed))
    noise = lambda leaf: leaf + size * jax.random.normal(jax.random.key(leaf.size), leaf.shape)  # noqa: E731
    return jax.tree.map(lambda leaf: noise(leaf) if eqx.is_inexact_array(leaf) else leaf, model)


def train(config, x, num_steps, *, learning_rate=3e-3, batch_size=64):
    """The trained model and the mean loss of the last part."""
    training = TrainingConfig(
        num_steps=num_steps,
        batch_size=batch_size,
        optimizer=AdamConfig(learning_rate=learning_rate),
        schedule=WarmupCosineScheduleConfig(),
        log_every=num_steps // 10,
        steps_per_dispatch=num_steps // 10,
        mesh=MeshConfig(data=1),
    )
    model = create_model(config, key=jax.random.key(0))
    result = fit(model, x, training, key=jax.random.key(1), progress=False)
    return result.model, [record["loss"] for record in result.records]


@functools.cache
def tiny(kind):
    """Three tokens out of three, with conditions that it sometimes does not see."""
    return moved(
        CONFIGS[kind](
            event_shape=(LENGTH,),
            vocab_size=VOCAB,
            num_classes=2,
            condition_dropout=0.2,
            network=TINY,
            num_sampling_steps=5,
        ),
        size=0.15,
    )


@functools.cache
def exact_bound(kind):
    """The bound on -log p(x) for class 1, by quadrature; a chain, and the network's probabilities for it."""
    model, chain = tiny(kind), Chain(kind, lambda t: 1 - t)
    vector = model._vector(jnp.asarray(1))
    v, w = np.polynomial.legendre.leggauss(256)
    v, w = (v + 1) / 2, w / 2
    times, weights = v**3, 3 * v**2 * w
    log_probs = jax.jit(
        jax.vmap(jax.vmap(lambda z, t: model._log_probs(z, t, vector), in_axes=(0, None)), in_axes=(None, 0))
    )
    z = jnp.asarray(chain.states)
    found = log_probs(z, jnp.asarray(times, jnp.float32))
    rate = jax.vmap(jax.vmap(model.process.rate, in_axes=(None, 0, 0, None)), in_axes=(None, None, 0, 0))
    rates = jax.jit(jax.vmap(rate, in_axes=(0, None, None, None)))(
        jnp.asarray(EXAMPLES), z, found, jnp.asarray(times, jnp.float32)
    )
    q = np.array([[chain.noisy(x, t) for t in times] for x in EXAMPLES])
    integral = np.einsum("xtz,xtz,t->x", q, np.asarray(rates, np.float64), weights)
    stops = np.linspace(1.0, 0.0, 6)
    at = {t: np.exp(np.asarray(log_probs(z, jnp.float32([t]))[0], np.float64)) for t in stops}
    return integral, chain, lambda t: at[t] / at[t].sum(-1, keepdims=True)


@pytest.mark.parametrize("kind", list(CONFIGS))
class TestBounds:
    """Estimates of the bound."""

    labels = jnp.ones(len(EXAMPLES), jnp.int32)

    def test_elbo(self, kind):
        """The mean of one-sample estimates is the exact bound, and so is one of many samples, with less noise."""
        integral, _, _ = exact_bound(kind)
        model = tiny(kind)
        repeated = jnp.asarray(np.repeat(EXAMPLES, 100, axis=0))
        labels = jnp.ones(len(repeated), jnp.int32)
        once = np.asarray(model.elbo(repeated, labels, key=jax.random.key(0)), np.float64).reshape(-1, 100)
        away = (once.mean(1) + integral) / (once.std(1) / 10)
        assert np.abs(away).max() < 5
        assert abs(away.mean()) < 4 / np.sqrt(len(EXAMPLES))
        log_prob = model.log_prob(jnp.asarray(EXAMPLES), condition=self.labels, key=jax.random.key(2))
        away = (log_prob + integral) / (once.std(1) / np.sqrt(model.config.log_prob_samples))
        assert np.abs(away).max() < 4.5

    def test_elbo_of_steps(self, kind):
        """The bound for five steps, and below the log-likelihood of what five steps generate."""
        _, chain, probs_at = exact_bound(kind)
        times = np.linspace(1.0, 0.0, 6)
        bound = chain.bound(probs_at, times)
        assert (-bound <= np.log(chain.generated(probs_at, times))).all()
        model = tiny(kind)
        estimates = np.stack(
            [
                model.elbo(
                    jnp.asarray(EXAMPLES), self.labels, key=jax.random.key(i), num_samples=250, num_steps=5
                )
                for i in range(8)
            ]
        )
        errors = estimates.std(0, ddof=1) / np.sqrt(8)
        assert (np.abs(estimates.mean(0) + bound) < 7 * errors + 1e-4).all()

    def test_loss(self, kind):
        """The bound's rate at the same times and noise, put together here in float64, for each token."""
        model = tiny(kind)
        x, labels = jnp.asarray(EXAMPLES[[3, 17, 8, 22]]), jnp.array([0, 1, 1, 0])
        output = model.loss(x, labels, key=jax.random.key(5))
        times_key, examples_key = jax.random.split(jax.random.key(5))
        times = (float(jax.random.uniform(times_key)) + np.arange(4) / 4) % 1.0
        bounds = []
        for i, t in enumerate(times):
            noise_key, dropout_key = jax.random.split(jax.random.fold_in(examples_key, i))
            is_withheld = jax.random.bernoulli(dropout_key, 0.2)
            z = np.asarray(model.process.noisy(x[i], jnp.float32(t), key=noise_key))
            vector = model._vector(labels[i], is_withheld)
            p = np.exp(np.asarray(model._log_probs(jnp.asarray(z), jnp.float32(t), vector), np.float64))
            if kind == "masked":
                bounds.append(-np.log(p[np.arange(LENGTH), x[i]])[z == VOCAB].sum() / t)
            else:
                bounds.append(udlm_rate(np.asarray(x[i]), z, p, 1 - t))
        np.testing.assert_allclose(output.total, np.mean(bounds) / LENGTH, rtol=1e-4)
        np.testing.assert_allclose(output.metrics["elbo"], -np.mean(bounds), rtol=1e-4)


@pytest.mark.parametrize("kind", list(CONFIGS))
class TestSampling:
    """`generate` and `sample`."""

    def test_sample_is_generate(self, kind, key):
        """With nothing said, and with the config's own words; the trajectory ends at the sample."""
        labels = jnp.array([0, 1, 1])
        model = tiny(kind)
        expected = model.generate(3, key=key, condition=labels)
        assert expected.dtype == jnp.int32
        np.testing.assert_array_equal(model.sample(3, key=key, condition=labels).x, expected)
        said = model.sample(
            3, key=key, condition=labels, num_steps=5, guidance_scale=1.0, keep_trajectory=True
        )
        np.testing.assert_array_equal(said.x, expected)
        assert said.trajectory.shape == (3, 6, LENGTH)
        np.testing.assert_array_equal(said.trajectory[:, -1], expected)
        assert (said.num_evaluations == (3 if kind == "masked" else 5)).all()

    def test_guidance(self, kind):
        """0 is the unconditional model, 1 the conditional one; 2 goes as far again beyond, up to normalisation."""
        model, z = tiny(kind), jnp.array([0, 2, 1])
        free, ours, far = (
            model._denoiser(jnp.asarray(1), scale)(z, jnp.float32(0.4)) for scale in (0.0, 1.0, 2.0)
        )
        np.testing.assert_allclose(far, jax.nn.log_softmax(2 * ours - free), atol=1e-5)
        np.testing.assert_allclose(free, model._denoiser(jnp.asarray(0), 0.0)(z, jnp.float32(0.4)))
        assert np.abs(ours - free).max() > 1e-3

    def test_infilling(self, kind, key):
        """Given tokens are kept, one set for all or one for each; the others differ."""
        model = tiny(kind)
        given, is_given = jnp.array([2, 0, 1]), jnp.array([True, False, True])
        x = model.sample(64, key=key, condition=0, given=given, is_given=is_given).x
        assert (x[:, [0, 2]] == jnp.array([[2, 1]])).all()
        assert len(np.unique(x[:, 1])) == VOCAB
        each = jnp.asarray(EXAMPLES)
        x = model.sample(len(each), key=key, condition=0, given=each, is_given=is_given).x
        np.testing.assert_array_equal(x[:, [0, 2]], each[:, [0, 2]])


class TestLearning:
    """What training reaches."""

    @pytest.mark.parametrize("kind", list(CONFIGS))
    def test_white_noise(self, kind):
        """Of independent tokens there is nothing to learn: the loss stays at log V."""
        x = np.random.default_rng(0).integers(0, 4, (8_000, 6))
        config = CONFIGS[kind](event_shape=(6,), vocab_size=4, network=TINY)
        model, losses = train(config, x, 100)
        np.testing.assert_allclose(np.mean(losses[-5:]), np.log(4), atol=0.1)
        fresh = jnp.asarray(np.random.default_rng(1).integers(0, 4, (2_000, 6)))
        elbo = np.asarray(model.elbo(fresh, key=jax.random.key(0), num_samples=8), np.float64) / 6
        assert -elbo.mean() > np.log(4) - 4 * elbo.std() / np.sqrt(len(elbo))

    def test_rule(self):
        """Each token is one more than the one before: learned, and generated."""
        x = (np.random.default_rng(0).integers(0, 5, (4_000, 1)) + np.arange(8)) % 5
        config = MaskedDiffusionConfig(
            event_shape=(2, 4), vocab_size=5, network=SMALL, num_sampling_steps=100_000
        )
        model, losses = train(config, x.reshape(-1, 2, 4), 800)
        assert losses[-1] < np.log(5) / 8 + 0.01
        samples = np.asarray(model.generate(500, key=jax.random.key(0))).reshape(500, 8)
        assert (np.diff(samples, axis=1) % 5 == 1).all(1).mean() > 0.99
        assert set(samples[:, 0]) == set(range(5))
        # The first given, the rest follows.
        given = jnp.zeros((2, 4), jnp.int32)
        is_given = given.at[0, 0].set(1) > 0
        filled = np.asarray(model.sample(500, key=jax.random.key(1), given=given, is_given=is_given).x)
        assert (filled[:, 0, 0] == 0).all()
        assert (filled == np.arange(8).reshape(2, 4) % 5).all((1, 2)).mean() > 0.99


def test_text(data_dir):
    """Characters of Shakespeare: fewer bits than their frequencies take, on text that it has not seen."""
    path = data_dir / "tinyshakespeare.txt"
    if not path.exists():
        pytest.skip(f"no {path.name} in {data_dir}")
    text = np.frombuffer(path.read_bytes(), np.uint8)
    values, tokens = np.unique(text, return_inverse=True)
    length = 32
    parts = tokens[: len(tokens) // length * length].reshape(-1, length)
    held_out, parts = parts[-500:], parts[:-500]
    p = np.bincount(parts.ravel(), minlength=len(values)) / parts.size
    unigram = -np.log2(p[held_out]).mean(1)
    config = MaskedDiffusionConfig(event_shape=(length,), vocab_size=len(values), network=SMALL)
    model, _ = train(config, parts, 300, learning_rate=1e-2, batch_size=32)
    elbo = np.asarray(model.elbo(jnp.asarray(held_out), key=jax.random.key(0), num_samples=8), np.float64)
    saved = unigram + elbo / (length * np.log(2))  # bits a character
    assert 4.7 < unigram.mean() < 5.0
    assert saved.mean() > 4 * saved.std() / np.sqrt(len(saved))


def test_wrong_use(key):
    """Errors say what is required."""
    with pytest.raises(ValueError, match="guidance needs a conditional model"):
        MaskedDiffusionConfig(guidance_scale=2.0)
    with pytest.raises(ValueError, match="also learned without conditions"):
        UniformDiffusionConfig(num_classes=3, guidance_scale=2.0)
    with pytest.raises(ValueError, match="divisible by 4 and by `num_heads`"):
        TokenTransformerConfig(hidden_size=10, num_heads=2)
    model = tiny("masked")
    plain = create_model(
        UniformDiffusionConfig(event_shape=(3,), network=TINY, schedule=CosineTokenScheduleConfig()), key=key
    )
    with pytest.raises(ValueError, match="needs a conditional model that also learned without"):
        plain.sample(1, key=key, guidance_scale=3.0)
    with pytest.raises(ValueError, match="`num_steps` must be at least 1"):
        plain.sample(1, key=key, num_steps=0)
    with pytest.raises(TypeError, match="num_steps"):
        plain.sample(1, key=key, num_steps=2.5)
    with pytest.raises(ValueError, match="`num_samples` must be at least 1"):
        plain.elbo(jnp.zeros((1, 3), jnp.int32), key=key, num_samples=0)
    with pytest.raises(ValueError, match="needs `key`"):
        plain.log_prob(jnp.zeros((1, 3), jnp.int32))
    with pytest.raises(TypeError, match=r"tokens are integers in \[0, 17\); got float32"):
        plain.loss(jnp.zeros((1, 3)), key=key)
    ones = jnp.ones(3, bool)
    for given, is_given, error, match in (
        (jnp.zeros(3, jnp.int32), None, ValueError, "belong together"),
        (jnp.zeros(2, jnp.int32), ones, ValueError, r"`given` must have shape \(1, 3\) or \(3,\)"),
        (jnp.zeros(3), ones, TypeError, "`given` must hold integers"),
        (jnp.zeros(3, jnp.int32), jnp.zeros(3), TypeError, "True or False"),
        (jnp.full(3, 3), ones, ValueError, r"must lie in \[0, 3\); got values from 3 to 3"),
    ):
        with pytest.raises(error, match=match):
            model.sample(1, key=key, condition=0, given=given, is_given=is_given)
    fit_config = TrainingConfig(num_steps=1, batch_size=1, mesh=MeshConfig(data=1))
    with pytest.raises(ValueError, match=r"`x` must lie in \[0, 16\], the integers"):
        fit(plain, np.full((1, 3), 17), fit_config, key=key, progress=False)
