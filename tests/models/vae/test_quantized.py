"""VQ-VAE: the bound against the exact density, what each part of the loss moves, and the public methods."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    CodePriorConfig,
    ConfigError,
    ConvDecoderConfig,
    ConvEncoderConfig,
    FSQConfig,
    ModelConfig,
    NormalConfig,
    ResidualQuantizerConfig,
    VectorQuantizerConfig,
    VQVAEConfig,
    from_yaml,
    to_yaml,
)
from artifex.generative_models.core.random import example_keys
from artifex.generative_models.core.trainable import partition_trainable
from artifex.generative_models.factory import create_model

QUANTIZERS = {
    "vector": VectorQuantizerConfig(num_codes=5, embedding_size=3),
    "residual": ResidualQuantizerConfig(num_levels=2, num_codes=4, embedding_size=3),
    "fsq": FSQConfig(levels=(4, 3)),
}


def make_config(kind, **changes):
    return VQVAEConfig(
        **{
            "event_shape": (1, 5, 4),
            "encoder": ConvEncoderConfig(channels=(4,)),
            "decoder": ConvDecoderConfig(channels=(4,)),
            "quantizer": QUANTIZERS[kind],
            "prior": CodePriorConfig(hidden_size=8, num_layers=1, num_heads=2),
            **changes,
        }
    )


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_bound_is_below_the_exact_log_density(kind, key):
    """On a grid of one position all codes can be enumerated: log p(x) = log sum_c p(c) p(x|c)."""
    config = make_config(kind, event_shape=(1, 2, 2), likelihood=NormalConfig(scale=0.7))
    model = create_model(config, key=key)
    x = jax.random.normal(key, (6, 1, 2, 2))
    shape = model.encode(x).shape[1:]
    codes = jnp.asarray(list(itertools.product(range(model.num_codes), repeat=int(np.prod(shape))))).reshape(
        -1, *shape
    )
    log_prior = jax.vmap(model.prior.log_prob)(codes)
    assert jax.nn.logsumexp(log_prior) == pytest.approx(0.0, abs=1e-5)
    means = np.asarray(model.decode(codes), np.float64)
    residuals = (np.asarray(x)[:, None] - means[None]) / 0.7
    log_normal = -0.5 * np.sum(residuals**2, axis=(2, 3, 4)) - 4 * np.log(0.7 * np.sqrt(2 * np.pi))
    terms = log_normal + np.asarray(log_prior)[None]
    exact = np.log(np.sum(np.exp(terms), axis=1))
    bound = np.asarray(model.elbo(x))
    assert np.all(bound <= exact + 1e-5)
    np.testing.assert_allclose(model.log_prob(x, key=key), bound, rtol=1e-6)
    # And it is the term of the code that `encode` gives.
    flat = np.asarray(model.encode(x)).reshape(6, -1)
    index = np.array(
        [np.flatnonzero(np.all(np.asarray(codes).reshape(len(codes), -1) == c, axis=1))[0] for c in flat]
    )
    np.testing.assert_allclose(bound, terms[np.arange(6), index], rtol=1e-4)


@pytest.mark.parametrize("kind", QUANTIZERS)
def test_codes_have_the_shape_of_the_grid(kind, key):
    model = create_model(make_config(kind), key=key)
    codes = jax.eval_shape(model.encode, jnp.zeros((4, 1, 5, 4)))
    assert codes.shape == ((4, 2, 3, 2) if kind == "residual" else (4, 3, 2))
    assert jnp.issubdtype(codes.dtype, jnp.integer)


def test_public_methods_agree(key):
    model = create_model(make_config("residual", num_classes=3), key=key)
    x, labels = jax.random.uniform(key, (4, 1, 5, 4)), jnp.array([0, 1, 2, 0])
    codes = model.encode(x, labels)
    reconstruction = model.reconstruct(x, labels)
    np.testing.assert_allclose(model.decode(codes, labels), reconstruction, atol=1e-5)
    path = model.interpolate(x, x[::-1], 5, labels)
    assert path.shape == (4, 5, 1, 5, 4)
    np.testing.assert_allclose(path[:, 0], reconstruction, atol=1e-5)
    ones = jnp.ones(4, jnp.int32)
    generated = model.generate_codes(4, key=key, condition=1)
    mean = model.generate_mean(4, key=key, condition=1)
    np.testing.assert_allclose(mean, model.decode(generated, ones), atol=1e-5)
    chunks = model.generate_codes(4, key=key, condition=1, chunk_size=3)
    np.testing.assert_array_equal(chunks, generated)
    samples = model.generate(4, key=key, condition=1)
    assert samples.shape == mean.shape == (4, 1, 5, 4)
    assert np.std(samples - mean) == pytest.approx(0.25, rel=0.3)  # the noise of the likelihood
    with pytest.raises(ValueError, match="at least 1; got 0"):
        model.generate_mean(0, key=key, condition=1)


def test_each_term_of_the_loss_moves_its_part_alone(key):
    """The prior's loss moves the prior alone; reconstruction and commitment move the rest, the codebook nothing."""
    model = create_model(make_config("vector"), key=key)
    x = jax.random.uniform(key, (6, 1, 5, 4))
    trainable, rest = partition_trainable(model)

    names = ("reconstruction", "commitment", "prior_nll", "loss")
    rest_of_all = {"encoder", "decoder", "likelihood"}

    @jax.jit
    def gradients(trainable):
        def metrics(trainable):
            output = eqx.combine(trainable, rest).loss(x, key=key)
            return jnp.stack([output.metrics[name] for name in names])

        return jax.vmap(jax.vjp(metrics, trainable)[1])(jnp.eye(4))[0]

    rows = gradients(trainable)
    for row, expected in enumerate([rest_of_all, {"encoder"}, {"prior"}, {*rest_of_all, "prior"}]):
        moved = {
            part
            for part in (*rest_of_all, "prior")
            if any(np.any(leaf[row] != 0) for leaf in jax.tree.leaves(getattr(rows, part)))
        }
        assert moved == expected, names[row]
    assert jax.tree.leaves(trainable.quantizer) == []


def test_loss_reports_the_bound_and_returns_new_buffers(key):
    model = create_model(make_config("vector"), key=key)
    x = jax.random.uniform(key, (6, 1, 5, 4))
    first = model.loss(x, key=key)
    assert set(first.metrics) == {"loss", "reconstruction", "commitment", "prior_nll", "perplexity", "elbo"}
    before, after = model.quantizer.codebook.value, first.model.quantizer.codebook.value
    assert np.all(before.counts == 0) and after.counts.sum() == pytest.approx(6 * 6, rel=1e-5)
    same = eqx.tree_at(lambda m: m.quantizer, first.model, model.quantizer)
    assert eqx.tree_equal(same, model)
    # Without a first batch to start from, the loss is the bound that `elbo` gives, plus the commitment.
    second = first.model.loss(x, key=key)
    metrics = {name: float(value) for name, value in second.metrics.items()}
    assert metrics["elbo"] == pytest.approx(float(jnp.mean(first.model.elbo(x))), rel=1e-5)
    assert metrics["loss"] == pytest.approx(-metrics["elbo"] + metrics["commitment"], rel=1e-5)
    assert 1.0 <= metrics["perplexity"] <= 5.0


def test_samples_follow_the_prior_of_their_class(key):
    """Sample i has the key fold_in(key, i); another class gives other codes."""
    model = create_model(make_config("vector", num_classes=2), key=key)
    model = eqx.tree_at(lambda m: m.prior.logits_weight, model, 50 * model.prior.logits_weight)
    zero = model.generate_codes(20, key=key, condition=0)
    one = model.generate_codes(20, key=key, condition=1)
    assert np.any(zero != one)
    codes_key = jax.random.split(example_keys(key, 3)[2])[0]
    expected = model.prior.sample(jax.nn.one_hot(1, 2), key=codes_key)
    np.testing.assert_array_equal(one[2], expected)


def test_configs_are_checked_and_survive_yaml():
    for kind in QUANTIZERS:
        config = make_config(kind)
        assert from_yaml(ModelConfig, to_yaml(config)) == config
    with pytest.raises(ConfigError, match="must be that of images"):
        make_config("fsq", event_shape=(8,))
    with pytest.raises(ConfigError, match=r"equally many levels; got \(4, 4\) and \(4,\)"):
        make_config("fsq", encoder=ConvEncoderConfig(channels=(4, 4)))
