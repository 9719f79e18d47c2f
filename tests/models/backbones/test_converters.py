"""Weights of other libraries give what those libraries compute."""

import json
import shutil
from pathlib import Path

import equinox as eqx
import jax
import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from artifex.generative_models.core.configuration import DDPMConfig, DiTConfig
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
