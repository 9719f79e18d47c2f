"""Weights of other libraries give what those libraries compute."""

import json
import shutil
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from artifex.generative_models.core.configuration import DDPMConfig, DiTConfig, UNetConfig
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.backbones.denoisers.converters import load_diffusers

FIXTURES = Path(__file__).parents[2] / "fixtures"
WEIGHTS = "diffusion_pytorch_model.safetensors"


def changed_copy(source, folder, *, settings=None, tensors=None, without=()):
    """A copy of a folder with other settings and tensors."""
    shutil.copytree(source, folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **(settings or {})}))
    weights = {**load_file(folder / WEIGHTS), **(tensors or {})}
    save_file({name: array for name, array in weights.items() if name not in without}, folder / WEIGHTS)
    return folder


def test_dit_computes_what_diffusers_computes():
    """Noise at several time steps and classes, "no class" among them; the variance is left out."""
    folder = FIXTURES / "diffusers_dit"
    expected = load_file(folder / "expected.safetensors")
    converted = load_diffusers(folder)
    assert converted.config == DiTConfig(hidden_size=16, num_layers=2, num_heads=2)
    assert (converted.event_shape, converted.condition_size) == ((2, 6, 6), 4)
    conditions = np.eye(4, dtype=np.float32)[expected["label"]]
    y = eqx.filter_jit(jax.vmap(lambda *one: converted.network(*one)))(
        expected["x"], expected["level"], conditions
    )
    wanted = expected["y"][:, :2]
    assert np.std(wanted) > 0.1
    np.testing.assert_allclose(y, wanted, atol=1e-5 * np.abs(wanted).max(), rtol=1e-4)


UNETS = {
    "adm": UNetConfig(
        channels=(6, 8), attention_levels=(1,), num_heads=1, head_size=4, num_groups=2, num_blocks=2
    ),
    "ddpm": UNetConfig(
        channels=(8, 8, 12),
        num_blocks=1,
        attention_levels=(1,),
        num_heads=1,
        num_groups=4,
        norm_epsilon=1e-6,
        has_scale=False,
        has_longest_period=True,
        pads_both_sides=False,
    ),
}


@pytest.mark.parametrize("name", UNETS)
def test_unet_computes_what_diffusers_computes(name):
    """With classes, scale and shift, many heads; and as the published DDPMs are."""
    folder = FIXTURES / f"diffusers_unet_{name}"
    expected = load_file(folder / "expected.safetensors")
    converted = load_diffusers(folder)
    assert converted.config == UNETS[name]
    assert (converted.event_shape, converted.condition_size) == ((2, 8, 8), 3 if "label" in expected else 0)
    conditions = np.eye(3, dtype=np.float32)[expected["label"]] if "label" in expected else None
    y = eqx.filter_jit(jax.vmap(lambda *one: converted.network(*one)))(
        expected["x"], expected["level"], conditions
    )
    assert np.std(expected["y"]) > 0.1
    np.testing.assert_allclose(y, expected["y"], atol=1e-5 * np.abs(expected["y"]).max(), rtol=1e-4)


def test_old_names_of_attention(tmp_path):
    """The published DDPMs name the parts of attention as `diffusers` did before version 0.15."""
    source = FIXTURES / "diffusers_unet_ddpm"
    old = {"to_q": "query", "to_k": "key", "to_v": "value", "to_out.0": "proj_attn"}
    weights = load_file(source / WEIGHTS)
    renamed = {name: next((p for p in old if f".{p}." in name), None) for name in weights}
    moved = {name.replace(part, old[part]): weights[name] for name, part in renamed.items() if part}
    assert len(moved) == 8 * 4
    folder = changed_copy(
        source, tmp_path / "copy", tensors=moved, without=[name for name, part in renamed.items() if part]
    )
    assert eqx.tree_equal(load_diffusers(folder).network, load_diffusers(source).network)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"down_block_types": ["ResnetDownsampleBlock2D"] * 3}, "only blocks of the types.*ResnetDownsample"),
        (
            {"up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D"]},
            "same levels on the way down and up",
        ),
        ({"resnet_time_scale_shift": "spatial"}, "only `resnet_time_scale_shift` in"),
        ({"time_embedding_type": "fourier"}, "only `time_embedding_type` = 'positional'"),
        (
            {"resnet_time_scale_shift": "scale_shift"},
            "must have a norm of as many groups as the others, 4; got",
        ),
        ({"out_channels": 4}, "`out_channels` must be `in_channels`, 2; got 4"),
    ],
)
def test_unet_settings_that_cannot_be_converted(settings, message, tmp_path):
    folder = changed_copy(FIXTURES / "diffusers_unet_ddpm", tmp_path / "copy", settings=settings)
    with pytest.raises(ValueError, match=message):
        load_diffusers(folder)


def test_a_converted_network_fits_the_model_of_its_config():
    """A conditional model that also learns without conditions has a network of the same structure."""
    converted = load_diffusers(FIXTURES / "diffusers_dit")
    config = DDPMConfig(
        network=converted.config, event_shape=converted.event_shape, num_classes=3, condition_dropout=0.1
    )
    model = eqx.filter_eval_shape(lambda key: create_model(config, key=key), jax.random.key(0))
    ours, theirs = (
        jax.tree.map(lambda leaf: leaf.shape, tree) for tree in (model.network, converted.network)
    )
    assert eqx.tree_equal(ours, theirs)


PROJECTION = "transformer_blocks.1.attn1.to_out.0.weight"
EMBEDDING = "transformer_blocks.1.norm1.emb.timestep_embedder.linear_1.bias"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"without": (PROJECTION,)}, "must hold `transformer_blocks.1.attn1.to_out.0.weight`"),
        ({"tensors": {"extra": np.ones(3)}}, "no place for: extra"),
        ({"tensors": {PROJECTION: np.ones((16, 15), np.float32)}}, "shape"),
        ({"tensors": {EMBEDDING: np.ones(16, np.float32)}}, "must embed time step and class alike"),
        ({"settings": {"norm_elementwise_affine": True}}, "only `norm_elementwise_affine` = False"),
        ({"settings": {"_class_name": "DiTTransformer2D"}}, "Did you mean 'DiTTransformer2DModel'"),
    ],
)
def test_what_cannot_be_converted_is_refused(change, message, tmp_path):
    folder = changed_copy(FIXTURES / "diffusers_dit", tmp_path / "copy", **change)
    with pytest.raises(ValueError, match=message):
        load_diffusers(folder)


def test_missing_files(tmp_path):
    """The folder must hold both files."""
    with pytest.raises(FileNotFoundError, match=r"`config.json` is missing"):
        load_diffusers(tmp_path)
