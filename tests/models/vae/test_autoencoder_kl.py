"""AutoencoderKL: its loss and KL in NumPy, its prior, and the weights of another library."""

import json
import shutil
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from artifex.generative_models.core.configuration import (
    AutoencoderKLConfig,
    ConfigError,
    FSQConfig,
    NormalConfig,
    SpatialAutoencoderConfig,
    VQVAEConfig,
    from_mapping,
)
from artifex.generative_models.core.protocols import SpatialAutoencoder
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.backbones.denoisers.converters import (
    load_diffusers,
    load_diffusers_autoencoder,
)
from artifex.generative_models.models.vae import AutoencoderKL

FIXTURE = Path(__file__).parents[2] / "fixtures" / "diffusers_autoencoder"
WEIGHTS = "diffusion_pytorch_model.safetensors"
SMALL = {"event_shape": (1, 4, 4), "channels": (8, 12), "latent_channels": 2}


def test_loss_is_reconstruction_and_weighted_kl(key):
    """With a posterior that has nearly no width, both parts have a closed form."""
    config = AutoencoderKLConfig(**SMALL, likelihood=NormalConfig(scale=0.3), kl_weight=0.01)
    model = create_model(config, key=key)
    narrow = model.encoder.latent.bias.at[2:].set(-25.0)
    model = eqx.tree_at(lambda m: m.encoder.latent.bias, model, narrow)
    x = jax.random.normal(key, (5, 1, 4, 4))
    mean, scale = (np.asarray(part, np.float64) for part in model.posterior_parameters(x))
    assert mean.shape == (5, *model.config.latent_shape) == (5, 2, 2, 2) and scale.max() < 1e-3
    kl = 0.5 * (mean**2 + scale**2 - 1 - 2 * np.log(scale)).sum(axis=(1, 2, 3))
    error = np.asarray(x, np.float64) - np.asarray(model.reconstruct(x), np.float64)
    terms = 0.5 * (error / 0.3) ** 2 + np.log(0.3 * np.sqrt(2 * np.pi))
    reconstruction = terms.sum(axis=(1, 2, 3))
    output = model.loss(x, key=key)
    np.testing.assert_allclose(output.metrics["kl"], kl.mean(), rtol=1e-5)
    np.testing.assert_allclose(output.metrics["reconstruction"], reconstruction.mean(), rtol=1e-3)
    np.testing.assert_allclose(output.total, (reconstruction + 0.01 * kl).mean(), rtol=1e-3)
    np.testing.assert_allclose(model.elbo(x, key=key), -reconstruction - kl, rtol=1e-3)


def test_new_examples_are_decoded_from_a_standard_normal(key):
    """The means are; samples have the noise of the likelihood added."""
    model = create_model(AutoencoderKLConfig(**SMALL, likelihood=NormalConfig(scale=0.3)), key=key)
    z = eqx.filter_vmap(lambda key: model._prior_sample_one(None, key=key))(jax.random.split(key, 4000))
    assert np.abs(np.mean(z)) < 4 / np.sqrt(z.size) and np.abs(np.var(z) - 1) < 4 * np.sqrt(2 / z.size)
    noise = model.generate(4000, key=key) - model.generate_mean(4000, key=key)
    assert np.abs(np.std(noise) - 0.3) < 4 * 0.3 / np.sqrt(2 * noise.size)
    means = model.generate_mean(4000, key=key).mean(axis=0)
    np.testing.assert_allclose(means, model.decode(z).mean(axis=0), atol=0.1)


def test_posterior_samples_have_its_moments(key):
    model = create_model(AutoencoderKLConfig(**SMALL), key=key)
    x = jnp.broadcast_to(jax.random.normal(key, (1, 1, 4, 4)), (4000, 1, 4, 4))
    mean, scale = (part[0] for part in model.posterior_parameters(x))
    z = np.asarray(model.encode(x, key=key))
    assert (np.abs(z.mean(axis=0) - mean) < 5 * scale / np.sqrt(4000)).all()
    np.testing.assert_allclose(z.std(axis=0), scale, rtol=5 / np.sqrt(8000))
    np.testing.assert_allclose(model.encode(x[:1])[0], mean, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"event_shape": (1, 6, 4), "channels": (8, 8, 8)}, r"divisible by 4 = 2\^\(levels - 1\).*got 6x4"),
        ({"event_shape": (16,)}, "must be that of images"),
        ({"num_classes": 3}, "is unconditional"),
        ({"num_groups": 3}, r"`num_groups` must divide all `channels`; got 3 and \(8, 12\)"),
        ({"kl_weight": {"kind": "linear"}}, "`kl_weight.num_steps` must be given"),
    ],
)
def test_wrong_configs(changes, match):
    with pytest.raises(ConfigError, match=match):
        AutoencoderKLConfig(**{**SMALL, **changes})


@pytest.mark.parametrize(
    "config",
    [
        AutoencoderKLConfig(**SMALL),
        VQVAEConfig(event_shape=(1, 5, 4), quantizer=FSQConfig(levels=(4, 3))),
    ],
)
def test_grids_of_all_spatial_autoencoders(config, key):
    """The config says the shape of the grid; decoded, it gives what the model reconstructs."""
    model = create_model(config, key=key)
    assert isinstance(model, SpatialAutoencoder)
    x = jax.random.normal(key, config.event_shape)
    grid = model._encode_grid_one(x, None, key=None)
    assert grid.shape == config.latent_shape
    np.testing.assert_allclose(model._decode_grid_one(grid, None), model.reconstruct(x[None])[0], atol=1e-5)


def test_kinds_of_spatial_autoencoders():
    """Where one is wanted, only such models can be named."""
    assert from_mapping(SpatialAutoencoderConfig, {"kind": "vqvae"}) == VQVAEConfig()
    with pytest.raises(ConfigError, match="kind"):
        from_mapping(SpatialAutoencoderConfig, {"kind": "vae"})


# Weights of another library


def changed_copy(folder, *, settings=None, rename=None):
    """A copy of the fixture with other settings, or other names of tensors."""
    shutil.copytree(FIXTURE, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **(settings or {})}))
    weights = load_file(folder / WEIGHTS)
    save_file({(rename or str)(name): array for name, array in weights.items()}, folder / WEIGHTS)
    return folder


def test_diffusers_moments_and_images():
    """Three levels, two blocks each, attention in the middle, latent convolutions."""
    converted, expected = load_diffusers_autoencoder(FIXTURE), load_file(FIXTURE / "expected.safetensors")
    assert converted.config == AutoencoderKLConfig(
        event_shape=(2, 16, 16), channels=(4, 8, 8), num_blocks=2, latent_channels=3, num_groups=2
    )
    assert (converted.scale, converted.shift) == (0.18215, 0.0)
    model = AutoencoderKL.from_networks(
        converted.config, converted.encoder, converted.decoder, key=jax.random.key(0)
    )
    mean, scale = model.posterior_parameters(expected["x"])
    for ours, name in ((mean, "mean"), (scale, "scale"), (model.decode(expected["z"]), "y")):
        wanted = expected[name]
        assert np.std(wanted) > 0.01
        np.testing.assert_allclose(ours, wanted, atol=1e-5 * np.abs(wanted).max(), rtol=1e-4, err_msg=name)


def test_old_names_of_attention(tmp_path):
    """The published autoencoders name the parts of attention as `diffusers` did before version 0.15."""
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}

    def rename(name):
        part = next((part for part in old if f".{part}." in name), None)
        return name if part is None else name.replace(part, old[part])

    folder = changed_copy(tmp_path / "copy", rename=rename)
    ours, theirs = load_diffusers_autoencoder(folder), load_diffusers_autoencoder(FIXTURE)
    assert eqx.tree_equal((ours.encoder, ours.decoder), (theirs.encoder, theirs.decoder))


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"_class_name": "AutoencoderTiny"}, "only `_class_name` = 'AutoencoderKL'"),
        ({"act_fn": "relu"}, "only `act_fn` = 'silu'"),
        ({"down_block_types": ["AttnDownEncoderBlock2D"] * 3}, "only `down_block_types`"),
        ({"use_post_quant_conv": False}, "only `use_post_quant_conv` = True"),
        ({"latents_mean": [0.0] * 3}, "only `latents_mean` = None"),
        ({"use_quant_conv": False, "use_post_quant_conv": False}, "no place for: post_quant_conv.bias"),
        ({"mid_block_add_attention": False}, "no place for middle.attention"),
        ({"layers_per_block": 3}, "must hold `encoder.down_blocks.0.resnets.2"),
        ({"latent_channels": 4}, "must have shape"),
    ],
)
def test_what_cannot_be_converted(settings, match, tmp_path):
    folder = changed_copy(tmp_path / "copy", settings=settings)
    with pytest.raises(ValueError, match=match):
        load_diffusers_autoencoder(folder)


def test_an_autoencoder_is_no_denoiser():
    with pytest.raises(ValueError, match="class of a diffusers network"):
        load_diffusers(FIXTURE)
