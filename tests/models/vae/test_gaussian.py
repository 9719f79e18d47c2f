"""The VAE's public methods: generation, latents, conditions, starting points."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    BernoulliConfig,
    ConvDecoderConfig,
    ConvEncoderConfig,
    DiscretizedLogisticConfig,
    NormalConfig,
    VAEConfig,
    from_yaml,
    to_yaml,
)
from artifex.generative_models.core.protocols import DensityModel, LatentModel
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.vae import VAE, initialize_output_bias

from .tiny import EVENT_SHAPE, binary_batch, tiny_config, tiny_model


def test_the_default_is_a_model_of_digits(key):
    """From the config, from YAML, and it keeps the promises of its kind."""
    config = VAEConfig()
    assert config.event_shape == (1, 8, 8)
    model = create_model(from_yaml(VAEConfig, to_yaml(config)), key=key)
    assert isinstance(model, VAE)
    assert isinstance(model, DensityModel)
    assert isinstance(model, LatentModel)
    assert model.log_prob_kind == "lower bound"
    x = model.generate(2, key=key)
    assert x.shape == (2, 1, 8, 8)
    assert set(np.unique(x)) == {0.0, 1.0}


def test_generation_adds_the_noise_of_the_likelihood(key):
    """`generate` minus `generate_mean` at the same key is the noise of p(x|z), with its scale."""
    model = tiny_model(likelihood=NormalConfig(scale=0.2))
    noise = np.asarray(model.generate(500, key=key) - model.generate_mean(500, key=key))
    num = noise.size
    assert abs(noise.mean()) < 4 * 0.2 / num**0.5
    assert abs(noise.std() - 0.2) < 4 * 0.2 / (2 * num) ** 0.5
    in_chunks = model.generate_mean(5, key=key, chunk_size=2)  # another program, so equal to round-off
    np.testing.assert_allclose(in_chunks, model.generate_mean(5, key=key), rtol=1e-5, atol=1e-6)
    with pytest.raises(ValueError, match="`n_samples` must be at least 1"):
        model.generate_mean(0, key=key)
    with pytest.raises(ValueError, match="`chunk_size` must be at least 1; got 0"):
        model.generate_mean(2, key=key, chunk_size=0)


def test_generated_values_lie_on_the_grid(key):
    """With a discretized likelihood the samples are valid data: their log-probability is finite."""
    model = tiny_model(likelihood=DiscretizedLogisticConfig(num_levels=17))
    x = model.generate(50, key=key)
    np.testing.assert_allclose(x * 16, np.round(x * 16), atol=1e-4)
    assert np.isfinite(model.elbo(x, key=key)).all()


@pytest.mark.parametrize("condition", [{"num_classes": 3}, {"condition_shape": (2, 2)}])
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_a_changed_condition_changes_everything(condition, network, key):
    """Encoder and decoder both see it, whether it is a label or an array."""
    networks = {
        "encoder": ConvEncoderConfig(channels=(4,)),
        "decoder": ConvDecoderConfig(channels=(4,)),
    }
    model = tiny_model(**condition, **(networks if network == "conv" else {}))
    if network == "conv":  # its conditioning layers may start at 0
        model = jax.tree.map(lambda leaf: leaf + 0.1 if eqx.is_inexact_array(leaf) else leaf, model)
    x = binary_batch()
    first, second = (
        (np.zeros(6, int), np.full(6, 2))
        if "num_classes" in condition
        else (np.zeros((6, 2, 2)), np.ones((6, 2, 2)))
    )
    z = model.encode(x, first)
    assert (np.abs(z - model.encode(x, second)) > 1e-5).any(axis=1).all()
    assert (np.abs(model.decode(z, first) - model.decode(z, second)) > 1e-5).any()
    assert (np.abs(model.elbo(x, first, key=key) - model.elbo(x, second, key=key)) > 1e-5).all()
    means = [model.generate_mean(6, key=key, condition=c) for c in (first, second)]
    assert (np.abs(means[0] - means[1]) > 1e-5).any()
    with pytest.raises(ValueError, match="the model is conditional"):
        model.elbo(x, key=key)


def test_traversal_sets_one_latent_at_a_time():
    """Against decoding by hand; wrong latents are an error."""
    model = tiny_model()
    z = np.array([[0.5, -0.5], [1.0, 2.0]], np.float32)
    values = [-1.0, 0.0, 1.0]
    traversal = model.latent_traversal(z, [1, 0], values)
    assert traversal.shape == (2, 2, 3, *EVENT_SHAPE)
    for row, dimension in enumerate([1, 0]):
        for column, value in enumerate(values):
            moved = z.copy()
            moved[:, dimension] = value
            np.testing.assert_allclose(traversal[:, row, column], model.decode(moved), rtol=1e-5)
    with pytest.raises(ValueError, match=r"one or more of 0 to 1; got \[2\]"):
        model.latent_traversal(z, [2], values)
    with pytest.raises(ValueError, match=r"`z` must have shape \(batch, 2\); got \(2, 3\)"):
        model.latent_traversal(np.zeros((2, 3), np.float32), [0], values)


def test_interpolation_is_linear_in_the_latents():
    """Its ends are reconstructions, its middle is the decoded mean of both latents."""
    model = tiny_model()
    start, end = binary_batch(3), binary_batch(3, seed=1)
    path = model.interpolate(start, end, 3)
    np.testing.assert_allclose(path[:, 0], model.reconstruct(start), rtol=1e-5)
    np.testing.assert_allclose(path[:, 2], model.reconstruct(end), rtol=1e-5)
    middle = (model.encode(start) + model.encode(end)) / 2
    np.testing.assert_allclose(path[:, 1], model.decode(middle), rtol=1e-5)


def test_latents_are_posterior_samples_with_a_key(key):
    """Without one they are the means; with one they scatter by the posterior's scale."""
    model = tiny_model()
    x = np.repeat(binary_batch(1), 2000, axis=0)
    loc, scale = model.posterior_parameters(x)
    np.testing.assert_allclose(model.encode(x), loc, rtol=1e-6)
    standardized = np.asarray((model.encode(x, key=key) - loc) / scale)
    assert (np.abs(standardized.mean(0)) < 4 / 2000**0.5).all()
    assert (np.abs(standardized.var(0) - 1) < 4 * (2 / 2000) ** 0.5).all()


@pytest.mark.parametrize("likelihood", [BernoulliConfig(), NormalConfig(scale_source="predicted")])
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_output_bias_starts_at_the_mean_of_the_data(likelihood, network):
    """With the last weights at 0 the bias is all that is left: it must give the mean, by pixel or by channel."""
    networks = {
        "event_shape": (2, 3, 5),
        "encoder": ConvEncoderConfig(channels=(4,)),
        "decoder": ConvDecoderConfig(channels=(4,)),
    }
    model = tiny_model(likelihood=likelihood, **(networks if network == "conv" else {}))
    shape = model.config.event_shape
    mean = np.random.default_rng(0).uniform(0.2, 0.8, shape).astype(np.float32)
    if network == "conv":
        mean = np.broadcast_to(mean.mean((1, 2), keepdims=True), shape)
    last = (
        (lambda m: m.decoder.grid.up[-1].weight) if network == "conv" else lambda m: m.decoder.mlp.out.weight
    )
    started = initialize_output_bias(model, mean)
    flat = eqx.tree_at(last, started, jnp.zeros_like(last(started)))
    np.testing.assert_allclose(flat.decode(np.ones((1, 2), np.float32))[0], mean, rtol=1e-4)
    assert jax.tree.structure(started) == jax.tree.structure(model)


def test_output_bias_refuses_a_wrong_mean():
    """Another shape, or values that are not finite."""
    with pytest.raises(
        ValueError, match=r"`mean` must have the shape \(1, 2, 3\) of one example; got \(2, 3\)"
    ):
        initialize_output_bias(tiny_model(), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="`mean` must be finite"):
        initialize_output_bias(tiny_model(), np.full(EVENT_SHAPE, np.nan))


def test_methods_compile_once(key, caplog):
    """A second model of the same config reuses what the first compiled."""
    first, second = (create_model(tiny_config(), key=jax.random.key(seed)) for seed in (0, 1))
    assert jax.tree.structure(first) == jax.tree.structure(second)

    def compilations(model, seed):
        caplog.clear()
        with jax.log_compiles():
            model.importance_weighted_bound(binary_batch(seed=seed), key=key, num_samples=7)
        return [message for message in caplog.messages if "Compiling jit(_map_examples)" in message]

    assert len(compilations(first, 1)) == 1
    assert not compilations(second, 2)
