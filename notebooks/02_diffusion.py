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
# # Diffusion and flow matching
#
# One family: a path from data to noise, what the network predicts on it, a weighting, a distribution of times. DDPM,
# score SDEs, EDM and flow matching are configs of it, and any trained model runs with any sampler. On two CPU cores
# this takes about three minutes.

# %%
import os

import jax
import jax.numpy as jnp
import numpy as np

import artifex as ax

SMOKE = os.environ.get("ARTIFEX_SMOKE") == "1"  # a short run, for automatic tests

# %% [markdown]
# ## Train
#
# Flow matching on handwritten digits, by class. One in ten examples is trained without its class, so that the model
# also knows digits in general: that is what guidance needs.

# %%
experiment = ax.zoo.get("flow_matching_digits")
if SMOKE:
    experiment = experiment.replace(training=experiment.training.replace(num_steps=100))

data = ax.load_data(experiment.data)
model = ax.create_model(experiment.model, key=jax.random.key(0))
model = ax.fit(model, data.train, experiment.training, key=jax.random.key(1)).model

labels = np.arange(50) % 10
x = model.generate(50, key=jax.random.key(2), condition=labels)
ax.visualization.image_grid(data.representation.decode(x), num_columns=10)

# %% [markdown]
# From noise to digits, one sample a row:

# %%
way = model.denoising(6, key=jax.random.key(2), condition=labels[:6])
frames = data.representation.decode(way.reshape(-1, *way.shape[2:])).reshape(way.shape)
ax.visualization.denoising_strip(frames)

# %% [markdown]
# ## Samplers
#
# A sampler is chosen in the call, by name or by config, and so are the number and the spacing of its steps. A
# classifier that is trained on the same digits judges the samples: the Frechet distance in its features, and how often
# it reads the class that was asked for.

# %%
from artifex.generative_models.modalities.image import (
    CLASSIFIER_TRAINING,
    evaluate_samples,
    train_image_classifier,
)

recipe = CLASSIFIER_TRAINING.replace(num_steps=30) if SMOKE else CLASSIFIER_TRAINING
classifier = train_image_classifier(data.train, key=jax.random.key(3), training=recipe)

num = 100 if SMOKE else 500
classes = np.arange(num) % 10
measured: dict[str, list[tuple[int, float, float]]] = {}
for sampler in ("ddim", "dpmpp_2m") if SMOKE else ("ddpm", "ddim", "dpmpp_2m", "heun"):
    for num_steps in (4,) if SMOKE else (5, 10, 20):
        sampled = model.sample(
            num, key=jax.random.key(4), condition=classes, sampler=sampler, num_steps=num_steps
        )
        pictures = data.representation.decode(sampled.x)
        quality = evaluate_samples(pictures, data.train, classifier, labels=classes)
        record = (int(sampled.num_evaluations[0]), quality["frechet_distance"], 0.0)
        measured.setdefault(sampler, []).append(record)

ax.visualization.quality_curves(measured, measure="Frechet distance")

# %% [markdown]
# ## Guidance
#
# Scale 0 leaves the class out, 1 is the conditional model, more is stronger: fewer surprises, less variety. The same
# key gives the same noise, so columns can be compared.

# %%
rows = []
for scale in (0.0, 1.0, 2.0, 4.0):
    made = model.sample(10, key=jax.random.key(5), condition=np.arange(10), guidance_scale=scale).x
    rows.append(data.representation.decode(made))
ax.visualization.image_grid(np.concatenate(rows), num_columns=10)

# %% [markdown]
# ## Inpainting and editing
#
# The upper half of each test digit is known and stays as it is; the lower half is new, five times. Nothing was trained
# for this.

# %%
batch = data.test.batch(range(6), key=jax.random.key(6))
is_known = np.zeros((1, 8, 8), bool)
is_known[:, :4] = True
columns = [batch["x"]] + [
    model.inpaint(
        batch["x"], is_known, key=jax.random.key(i), condition=batch["condition"], num_resamples=4
    ).x
    for i in range(5)
]
ax.visualization.image_grid(data.representation.decode(jnp.concatenate(columns)), num_columns=6)

# %% [markdown]
# From one digit to another class: noise up to two thirds of the path keeps the stroke, the condition is new.

# %%
edited = model.edit(batch["x"], 0.66, key=jax.random.key(7), condition=(batch["condition"] + 1) % 10).x
both = data.representation.decode(jnp.concatenate([batch["x"], edited]))
ax.visualization.image_grid(both, num_columns=6)

# %% [markdown]
# ## Likelihood
#
# The probability-flow ODE gives every example a density. In the plane it can be compared with the truth: two moons,
# whose density and entropy are known. A model cannot do better than the entropy, on average.

# %%
moons = ax.zoo.get("flow_matching_moons")
if SMOKE:
    moons = moons.replace(training=moons.training.replace(num_steps=200))
points = ax.load_data(moons.data)
plane = ax.create_model(moons.model, key=jax.random.key(0))
plane = ax.fit(plane, points.train, moons.training, key=jax.random.key(1)).model

print(ax.evaluate(plane, points.test, key=jax.random.key(2), max_examples=100 if SMOKE else 1000))

# %%
num_cells = 20 if SMOKE else 80
ax.visualization.density_map(
    lambda x: plane.log_prob(x, key=jax.random.key(3)), (-2.5, 2.5, -2.5, 2.5), num_cells=num_cells
)

# %% [markdown]
# The same ODE as lines, from noise to data:

# %%
ways = plane.sample(60, key=jax.random.key(4), keep_trajectory=True).trajectory
ax.visualization.trajectories_2d(ways)
