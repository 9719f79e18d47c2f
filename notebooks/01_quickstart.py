# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Quickstart
#
# Train a variational autoencoder on handwritten digits, look at what it learned, then use your own data and your
# own model. On two CPU cores this takes about two minutes.

# %%
import os

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import artifex as ax

# %% [markdown]
# ## Train
#
# An experiment holds three configs: data, model and training. The digits come with scikit-learn, so nothing is
# downloaded.

# %%
experiment = ax.zoo.get("vae_digits")
if os.environ.get("ARTIFEX_SMOKE") == "1":  # a short run, for automatic tests
    experiment = experiment.replace(training=experiment.training.replace(num_steps=150))

data = ax.load_data(experiment.data)  # train, validation, test; already in the experiment's representation
model = ax.create_model(experiment.model, key=jax.random.key(0))
result = ax.fit(model, data.train, experiment.training, key=jax.random.key(1), validation=data.validation)

# %% [markdown]
# Models never change: `result.model` is a new one, and `model` is as it was. New digits come from a key. Example
# `i` depends on the key and on `i` alone, so asking for more leaves the first ones as they are.

# %%
x = result.model.generate(64, key=jax.random.key(2))
ax.visualization.image_grid(data.representation.decode(x))

# %% [markdown]
# A VAE describes the distribution of each pixel, and `generate` draws from it, noise included. `generate_mean`
# leaves the noise out.

# %%
x = result.model.generate_mean(64, key=jax.random.key(2))
ax.visualization.image_grid(data.representation.decode(x))

# %% [markdown]
# The loss during training:

# %%
ax.visualization.training_curves(result.records)

# %% [markdown]
# ## Look inside
#
# `reconstruct` encodes and decodes. These digits were not trained on.

# %%
batch = data.test.batch(range(10), key=jax.random.key(3))
made = result.model.reconstruct(batch["x"])
ax.visualization.reconstructions(data.representation.decode(batch["x"]), data.representation.decode(made))

# %% [markdown]
# From one digit to another, on a straight line between their latents:

# %%
path = result.model.interpolate(batch["x"][:4], batch["x"][4:8], num_steps=10)
frames = data.representation.decode(path.reshape(-1, *path.shape[2:])).reshape(path.shape)
ax.visualization.traversal(frames, row_labels=["pair 0", "pair 1", "pair 2", "pair 3"])

# %% [markdown]
# What does one latent do? Each row changes one of them and leaves the others alone.

# %%
z = result.model.encode(batch["x"][:1])
rows = result.model.latent_traversal(z, dimensions=[0, 1, 2, 3], values=np.linspace(-2.5, 2.5, 10))[0]
frames = data.representation.decode(rows.reshape(-1, *rows.shape[2:])).reshape(rows.shape)
ax.visualization.traversal(frames)

# %% [markdown]
# All test digits in latent space, coloured by class. The model never saw the classes; `conditional=True` loads
# them beside the pictures.

# %%
labelled = ax.load_data(experiment.data.replace(conditional=True)).test
test = labelled.batch(range(len(labelled)), key=jax.random.key(4))
ax.visualization.latent_scatter(result.model.encode(test["x"]), test["condition"])

# %% [markdown]
# ## Measure
#
# Each value has its standard error. The ELBO is a lower bound of the log-likelihood in nats; more importance
# samples bring the bound nearer to it.

# %%
print(ax.evaluate(result.model, data.test, key=jax.random.key(5)))

# %% [markdown]
# ## Your own data
#
# `fit` takes an array, a mapping with `x` and maybe `condition`, or any iterable of batches. Here are points on a
# noisy spiral.

# %%
from artifex.generative_models.core.configuration import (
    AdamConfig,
    MLPDecoderConfig,
    MLPEncoderConfig,
    NormalConfig,
    TrainingConfig,
    VAEConfig,
)

rng = np.random.default_rng(0)
angle = rng.uniform(1.0, 10.0, size=2000)
points = np.stack([angle * np.cos(angle), angle * np.sin(angle)], axis=1) / 5
points = (points + rng.normal(scale=0.05, size=points.shape)).astype(np.float32)

config = VAEConfig(
    event_shape=(2,),
    latent_size=2,
    encoder=MLPEncoderConfig(hidden_sizes=(64, 64)),
    decoder=MLPDecoderConfig(hidden_sizes=(64, 64)),
    likelihood=NormalConfig(scale=0.1),
)
steps = 50 if os.environ.get("ARTIFEX_SMOKE") == "1" else 4000
spiral = ax.fit(
    ax.create_model(config, key=jax.random.key(6)),
    points,
    TrainingConfig(num_steps=steps, batch_size=256),
    key=jax.random.key(7),
)
new = spiral.model.generate(2000, key=jax.random.key(8))
both = np.concatenate([points, np.asarray(new)])
ax.visualization.latent_scatter(both, np.repeat([0, 1], len(points)))  # 0: data, 1: new

# %% [markdown]
# A wrong config is an error where it is written:

# %%
try:
    VAEConfig(latent_sise=3)
except ValueError as error:
    print(error)

# %% [markdown]
# ## Your own model
#
# A config, a module, and one decorator that joins them. The module says how one example is made and what training
# minimises; batches, compilation and randomness per example are in the base class. This one knows how often each
# pixel is white, and nothing else.

# %%
from artifex.generative_models.core.configuration import ModelConfig
from artifex.generative_models.core.configuration import config as register_config
from artifex.generative_models.core.models import AbstractGenerativeModel, mean_loss


@register_config("pixel_frequencies")
class PixelFrequenciesConfig(ModelConfig):
    """Pixels that know nothing of each other."""


@ax.register_model(PixelFrequenciesConfig)
class PixelFrequencies(AbstractGenerativeModel):
    config: PixelFrequenciesConfig = eqx.field(static=True)
    logits: jax.Array

    def __init__(self, config, *, key):
        self.config = config
        self.logits = jnp.zeros(config.event_shape)

    def _generate_one(self, condition, *, key):
        return jax.random.bernoulli(key, jax.nn.sigmoid(self.logits)).astype(jnp.float32)

    def _loss_batch(self, x, condition, *, key, step):
        def one(x, condition, *, key):
            log_prob = jnp.sum(
                x * jax.nn.log_sigmoid(self.logits) + (1 - x) * jax.nn.log_sigmoid(-self.logits)
            )
            return -log_prob, {"log_prob": log_prob}

        return mean_loss(one, x, condition, key=key)


# %% [markdown]
# Everything else now works with it: `create_model`, `fit`, run folders.

# %%
baseline = ax.create_model({"kind": "pixel_frequencies"}, key=jax.random.key(9))
fast = TrainingConfig(num_steps=300, batch_size=128, optimizer=AdamConfig(learning_rate=0.05))
trained = ax.fit(baseline, data.train, fast, key=jax.random.key(10))
ax.visualization.image_grid(trained.model.generate(32, key=jax.random.key(11)), num_columns=8)

# %% [markdown]
# ## Keep the results
#
# `run_experiment` does all of the above and writes a run folder: config, metrics, checkpoints, evaluation. It is
# what `artifex train vae_digits` calls. A run that was stopped goes on where it was with `resume=True`, bit for bit.

# %%
import tempfile
from pathlib import Path

folder = Path(tempfile.mkdtemp()) / "vae_digits"
short = experiment.replace(training=experiment.training.replace(num_steps=150))
run = ax.run_experiment(short, folder, progress=False)
print(sorted(path.name for path in folder.iterdir()))

experiment_again, model_again = ax.zoo.load_run(folder)
same = model_again.generate(4, key=jax.random.key(12)) == run.model.generate(4, key=jax.random.key(12))
print("the same model:", bool(same.all()))
