"""Latent diffusion: whose gradient goes where, what is measured, and that samples are decoded."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import (
    AutoencoderKLConfig,
    CodePriorConfig,
    ConfigError,
    ConvDecoderConfig,
    ConvEncoderConfig,
    FlowMatchingConfig,
    HeunSamplerConfig,
    LatentDiffusionConfig,
    MeshConfig,
    MLPDenoiserConfig,
    TrainingConfig,
    VAEConfig,
    VectorQuantizerConfig,
    VQVAEConfig,
)
from artifex.generative_models.core.paths import named_leaves
from artifex.generative_models.core.trainable import partition_trainable
from artifex.generative_models.factory import create_model, load_model, save_model
from artifex.generative_models.training import fit, init_state, make_optimizer

AUTOENCODER = AutoencoderKLConfig(
    event_shape=(1, 4, 4), channels=(4,), latent_channels=2, has_middle_attention=False
)
NETWORK = MLPDenoiserConfig(hidden_size=16, num_layers=2)
CONFIG = LatentDiffusionConfig(
    event_shape=(1, 4, 4),
    num_classes=3,
    autoencoder=AUTOENCODER,
    diffusion=FlowMatchingConfig(
        event_shape=(2, 4, 4), num_classes=3, condition_dropout=0.2, network=NETWORK, num_sampling_steps=4
    ),
)
TRAINING = TrainingConfig(num_steps=6, batch_size=16, log_every=6, ema_decay=0.9, mesh=MeshConfig(data=1))


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    x = 0.3 * rng.normal(size=(200, 1, 4, 4)) + rng.normal(size=(200, 1, 1, 1))
    return {"x": x.astype(np.float32), "condition": rng.integers(0, 3, 200).astype(np.int32)}


@pytest.fixture(scope="module")
def autoencoder(data):
    """A trained one."""
    key = jax.random.key(1)
    return fit(create_model(AUTOENCODER, key=key), {"x": data["x"]}, TRAINING, key=key, progress=False).model


@pytest.fixture(scope="module")
def model(data, autoencoder):
    """With the trained autoencoder, and no zero weight that would hide a path."""
    made = create_model(CONFIG, key=jax.random.key(2)).with_pretrained(
        autoencoder, **data, key=jax.random.key(3)
    )
    trainable, rest = partition_trainable(made)
    leaves, structure = jax.tree.flatten(trainable)
    rng = np.random.default_rng(1)
    moved = [leaf + jnp.asarray(0.05 * rng.normal(size=leaf.shape), jnp.float32) for leaf in leaves]
    return eqx.combine(jax.tree.unflatten(structure, moved), rest)


def gradients(model, **batch):
    """Of the loss, with respect to every floating array, buffers included."""
    arrays, static = eqx.partition(model, eqx.is_inexact_array)

    @jax.jit
    def gradient(arrays):
        return jax.grad(lambda a: eqx.combine(a, static).loss(**batch, key=jax.random.key(0)).total)(arrays)

    return {name: np.abs(leaf).max() for name, leaf in named_leaves(gradient(arrays)).items()}


def test_training_the_autoencoder_reaches_every_leaf_of_it(autoencoder, data):
    found = gradients(autoencoder, x=data["x"][:16])
    parts = {name.split(".")[0] for name in found}
    assert parts == {"encoder", "decoder", "likelihood"}
    assert [name for name, size in found.items() if not (np.isfinite(size) and size > 0)] == []


def test_the_loss_reaches_the_diffusion_model_alone(model, data):
    """Even where somebody asks for a gradient of the buffers."""
    found = gradients(model, x=data["x"][:16], condition=data["condition"][:16])
    frozen = {name: size for name, size in found.items() if name.startswith("frozen")}
    trained = {name: size for name, size in found.items() if name.startswith("diffusion")}
    assert len(frozen) > 40 and len(trained) > 10 and len(frozen) + len(trained) == len(found)
    assert set(frozen.values()) == {0.0}
    assert [name for name, size in trained.items() if not size > 0] == []
    assert all(name.startswith("diffusion") for name in named_leaves(partition_trainable(model)[0]))


def test_shift_and_scale_are_those_of_the_latents(model, autoencoder, data):
    """Against NumPy in float64, on samples that the autoencoder's own moments give."""
    mean, scale = (np.asarray(part, np.float64) for part in autoencoder.posterior_parameters(data["x"]))
    shift = mean.mean(axis=(0, 2, 3))
    variance = (mean.var(axis=(0, 2, 3)) + (scale**2).mean(axis=(0, 2, 3))).mean()
    space = model.latents
    error = 4 * np.sqrt(variance / 200)
    np.testing.assert_allclose(space.shift[:, 0, 0], shift, atol=error)
    np.testing.assert_allclose(space.scale, variance**-0.5, rtol=4 / np.sqrt(2 * mean.size))
    # Where the posterior has no width, nothing is random, and the figures agree to round-off.
    narrow = autoencoder.encoder.latent.bias.at[2:].set(-30.0)
    certain = eqx.tree_at(lambda m: m.encoder.latent.bias, autoencoder, narrow)
    sharp = create_model(CONFIG, key=jax.random.key(2)).with_pretrained(
        certain, **data, key=jax.random.key(3)
    )
    latents = np.asarray(certain.encode(data["x"]), np.float64)
    centred = latents - latents.mean(axis=(0, 2, 3), keepdims=True)
    np.testing.assert_allclose(sharp.latents.shift[:, 0, 0], latents.mean(axis=(0, 2, 3)), rtol=1e-4)
    np.testing.assert_allclose(sharp.latents.scale, 1 / centred.std(), rtol=1e-4)
    z = np.asarray(sharp.encode(data["x"], data["condition"]), np.float64)
    assert abs(z.mean()) < 1e-4 and abs(z.std() - 1) < 1e-4


def test_the_loss_is_that_of_the_diffusion_model_on_the_latents(model, data):
    """The same keys, by hand."""
    key = jax.random.key(5)
    encode_key, loss_key = jax.random.split(key)
    given = {"x": data["x"][:16], "condition": data["condition"][:16]}
    z = model.encode(given["x"], given["condition"], key=encode_key)
    by_hand = model.diffusion.loss(z, given["condition"], key=loss_key)
    np.testing.assert_allclose(model.loss(**given, key=key).total, by_hand.total, rtol=1e-5)


def test_samples_are_decoded_latents(model, autoencoder):
    """`generate`, `sample` by any sampler, its trajectory, and pictures of the way."""
    key, labels = jax.random.key(6), jnp.arange(5) % 3
    space = model.latents

    def decoded(z):
        return autoencoder.decode(z / space.scale + space.shift[None])

    wanted = decoded(model.diffusion.generate(5, key=key, condition=labels))
    np.testing.assert_allclose(model.generate(5, key=key, condition=labels), wanted, atol=1e-5)
    np.testing.assert_allclose(model.sample(5, key=key, condition=labels).x, wanted, atol=1e-5)
    options = {"sampler": HeunSamplerConfig(), "num_steps": 3, "guidance_scale": 2.0, "condition": labels}
    ours = model.sample(5, key=key, **options, keep_trajectory=True, chunk_size=3)
    theirs = model.diffusion.sample(5, key=key, **options, keep_trajectory=True)
    np.testing.assert_allclose(ours.x, decoded(theirs.x), atol=1e-4)
    assert ours.trajectory.shape == (5, 4, 1, 4, 4)
    for stop in range(4):
        np.testing.assert_allclose(ours.trajectory[:, stop], decoded(theirs.trajectory[:, stop]), atol=1e-4)
    np.testing.assert_array_equal(ours.num_evaluations, theirs.num_evaluations)
    strip = model.denoising(2, key=key, condition=1, num_stops=3)
    assert strip.shape == (2, 3, 1, 4, 4)
    np.testing.assert_allclose(strip[:, -1], model.generate(2, key=key, condition=1), atol=1e-4)


def test_reconstruction_is_the_autoencoders(model, autoencoder, data):
    x, labels = data["x"][:6], data["condition"][:6]
    np.testing.assert_allclose(model.reconstruct(x, labels), autoencoder.reconstruct(x), atol=1e-5)
    z = model.latents.scale * (autoencoder.encode(x) - model.latents.shift[None])
    np.testing.assert_allclose(model.encode(x, labels), z, atol=1e-5)


def test_a_picture_is_edited_in_its_latents(model, data):
    """With hardly any noise it is the reconstruction, with much another picture."""
    x, labels, key = data["x"][:4], data["condition"][:4], jax.random.key(8)

    def edited(strength):
        z = model.diffusion.edit(model.encode(x, labels), strength, key=key, condition=labels).x
        return model.decode(z, labels)

    kept = model.reconstruct(x, labels)
    np.testing.assert_allclose(edited(1e-4), kept, atol=1e-2)
    assert np.abs(edited(0.9) - kept).max() > 0.1


def test_a_weaker_model_in_the_same_latents_guides(model):
    key, options = jax.random.key(7), {"condition": 1, "guidance_scale": 3.0}
    plain = model.sample(4, key=key, condition=1).x
    assert np.abs(model.sample(4, key=key, **options, guide=model).x - plain).max() < 1e-4
    other = create_model(CONFIG.replace(autoencoder=AUTOENCODER.replace(kl_weight=0.1)), key=key)
    with pytest.raises(ValueError, match="must have the same autoencoder"):
        model.sample(4, key=key, **options, guide=other)


def test_an_untrained_autoencoder_is_never_used_in_silence(data, key):
    """Every public method says what to do; in somebody's own compiled step, everything is NaN."""
    new = create_model(CONFIG, key=key)
    assert not new.has_pretrained
    x, labels = data["x"][:16], data["condition"][:16]
    for call in (
        lambda: new.generate(2, key=key, condition=labels[:2]),
        lambda: new.sample(2, key=key, condition=labels[:2]),
        lambda: new.denoising(2, key=key, condition=labels[:2]),
        lambda: new.loss(x, labels, key=key),
        lambda: new.encode(x, labels),
        lambda: new.decode(np.zeros((2, 2, 4, 4), np.float32), labels[:2]),
        lambda: new.reconstruct(x, labels),
        lambda: new.interpolate(x, x, 3, labels),
        lambda: fit(new, data, TRAINING, key=key, progress=False),
    ):
        with pytest.raises(ValueError, match=r"'autoencoder_kl' trained first: .*with_pretrained"):
            call()
    assert np.isnan(eqx.filter_jit(lambda m: m.loss(x, labels, key=key).total)(new))


def test_what_is_no_trained_autoencoder_of_the_config(data, key):
    new = create_model(CONFIG, key=key)
    other = create_model(AUTOENCODER.replace(kl_weight=0.5), key=key)
    part = create_model(AUTOENCODER, key=key)
    for wrong, error, match in (
        (None, TypeError, "`part` must be a trained model 'autoencoder_kl'; got NoneType"),
        (other, ValueError, r"`kl_weight.value` is 0.5 there and 1e-06 here"),
    ):
        with pytest.raises(error, match=match):
            new.with_pretrained(wrong, **data, key=key)
    with pytest.raises(ValueError, match="must be finite and differ; their standard deviation is nan"):
        new.with_pretrained(part, np.full((4, 1, 4, 4), np.nan), np.zeros(4, np.int32), key=key)
    with pytest.raises(ValueError, match="the model is conditional"):
        new.with_pretrained(part, data["x"], key=key)


def test_training_leaves_the_autoencoder_as_it_is(model, data, tmp_path):
    """Its arrays, the shift and the scale, in the model, its average and the file; an optimizer has none of them."""
    trained = fit(model, data, TRAINING, key=jax.random.key(8), progress=False).model
    assert eqx.tree_equal(trained.frozen, model.frozen)
    changed = jax.tree.map(lambda a, b: (a != b).any(), *(m.diffusion.network.into for m in (trained, model)))
    assert any(jax.tree.leaves(eqx.filter(changed, eqx.is_array)))
    state = init_state(model, make_optimizer(TRAINING), key=jax.random.key(9))
    num_frozen = len(jax.tree.leaves(eqx.filter(state.opt_state, eqx.is_array)))
    assert num_frozen < 3 * len(jax.tree.leaves(eqx.filter(model.diffusion, eqx.is_array)))
    save_model(tmp_path / "model.safetensors", trained)
    loaded = load_model(tmp_path / "model.safetensors")
    assert loaded.has_pretrained and eqx.tree_equal(loaded.frozen, trained.frozen)


def test_a_quantized_autoencoder(data, key):
    """Latents are the vectors before they are quantized; what is decoded are the nearest codes."""
    autoencoder = VQVAEConfig(
        event_shape=(1, 4, 4),
        encoder=ConvEncoderConfig(channels=(8,)),
        decoder=ConvDecoderConfig(channels=(8,)),
        quantizer=VectorQuantizerConfig(num_codes=8, embedding_size=3),
        prior=CodePriorConfig(hidden_size=8, num_layers=1, num_heads=2),
    )
    diffusion = FlowMatchingConfig(event_shape=(3, 2, 2), network=NETWORK, num_sampling_steps=2)
    config = LatentDiffusionConfig(event_shape=(1, 4, 4), autoencoder=autoencoder, diffusion=diffusion)
    part = create_model(autoencoder, key=key)
    model = create_model(config, key=key).with_pretrained(part, data["x"], key=key)
    z = np.asarray(model.encode(data["x"]), np.float64)
    assert z.shape == (200, 3, 2, 2) and abs(z.std() - 1) < 1e-4
    np.testing.assert_allclose(model.reconstruct(data["x"][:5]), part.reconstruct(data["x"][:5]), atol=1e-5)
    codes = part.encode(data["x"][:5])
    np.testing.assert_allclose(model.decode(z[:5].astype(np.float32)), part.decode(codes), atol=1e-5)
    # All that can be decoded stands for some codes.
    assert len(np.unique(np.asarray(model.decode(50 * z[:5].astype(np.float32))))) <= 8**4 * 16


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        (
            {"event_shape": (1, 8, 8)},
            r"`autoencoder.event_shape` must be the model's `event_shape`, \(1, 8, 8\)",
        ),
        (
            {"diffusion": CONFIG.diffusion.replace(event_shape=(2, 2, 2))},
            r"the shape of the autoencoder's latents, \(2, 4, 4\); got \(2, 2, 2\)",
        ),
        ({"num_classes": 4}, "`diffusion` must have the model's conditions, `num_classes` 4"),
        ({"autoencoder": VAEConfig(event_shape=(1, 4, 4))}, "autoencoder"),
        (
            {
                "autoencoder": VQVAEConfig(event_shape=(1, 4, 4), num_classes=5),
                "diffusion": FlowMatchingConfig(event_shape=(16, 2, 2), num_classes=3),
            },
            "`autoencoder` must have the model's conditions",
        ),
    ],
)
def test_wrong_configs(changes, match):
    with pytest.raises(ConfigError, match=match):
        CONFIG.replace(**changes)
