"""Training a diffusion model leaves a picture of how its samples come out of noise."""

import jax
import numpy as np
from PIL import Image

from artifex.generative_models.modalities import load_data
from artifex.generative_models.zoo import load_run

TINY = """
kind: experiment
data: {kind: image, dataset: digits, representation: symmetric, conditional: true}
model:
  kind: flow_matching
  event_shape: [1, 8, 8]
  num_classes: 10
  num_sampling_steps: 3
  network: {kind: mlp, hidden_size: 8, num_layers: 1}
training: {num_steps: 2, batch_size: 8, mesh: {kind: mesh, data: 1}}
"""


def test_last_column_is_the_samples(tmp_path, call):
    config, run_dir = tmp_path / "tiny.yaml", tmp_path / "run"
    config.write_text(TINY)
    result = call("train", config, "--run-dir", run_dir)
    assert result.code == 0, result
    assert str(run_dir / "denoising.png") in result.out
    experiment, model = load_run(run_dir)
    key = jax.random.fold_in(jax.random.key(experiment.training.seed), 1 << 20)
    samples = model.generate(64, key=key, condition=np.arange(64, dtype=np.int32) % 10)[:8]
    levels = np.asarray(load_data(experiment.data).representation.decode(samples))
    picture = np.asarray(Image.open(run_dir / "denoising.png").convert("L"))
    scale = (picture.shape[1] + 2 - 4 * 2) // (4 * 8)
    assert picture.shape == (8 * (8 * scale + 2) - 2, 4 * (8 * scale + 2) - 2)
    column = picture[scale // 2 :: 1, 3 * (8 * scale + 2) + scale // 2]
    shown = np.stack([column[i * (8 * scale + 2) :][: 8 * scale : scale] for i in range(8)])
    np.testing.assert_allclose(shown, np.rint(levels[:, 0, :, 0] / 16 * 255), atol=16)
