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
# # Normalizing flows
#
# A flow is an invertible map from a simple density to the data's, so it has exact densities, and samples in one pass.
# NICE, RealNVP, MAF, IAF and neural spline flows are configs of one model.

# %%
import os

import jax
import jax.numpy as jnp
import numpy as np

import artifex as ax

SMOKE = os.environ.get("ARTIFEX_SMOKE") == "1"  # a short run, for automatic tests

# %% [markdown]
# ## Densities in the plane
#
# Two moons, whose density and entropy are known: the mean negative log-likelihood of no model is below the entropy, and
# `nll_gap` is how far above it is.

# %%
experiment = ax.zoo.get("nsf_moons")
if SMOKE:
    experiment = experiment.replace(training=experiment.training.replace(num_steps=100))
data = ax.load_data(experiment.data)
flow = ax.create_model(experiment.model, key=jax.random.key(0))
flow = ax.fit(flow, data.train, experiment.training, key=jax.random.key(1)).model

metrics = ["negative_log_likelihood", "nll_gap"]
print(ax.evaluate(flow, data.test, key=jax.random.key(2), metrics=metrics))

# %% [markdown]
# The density on a grid, and how much of it lies there, beside data. Both are in the model's coordinates, in which the
# points have mean 0 and standard deviation 1.

# %%
points = data.test.batch(range(1000), key=jax.random.key(3))["x"]
limits = (-2.5, 2.5, -2.5, 2.5)
ax.visualization.density_map(flow.log_prob, limits, num_cells=40 if SMOKE else 150, data=points)

# %% [markdown]
# ## The change of variables
#
#     log p(x) = log p(z) + log |det dz/dx|
#
# is all that there is. Automatic differentiation can check it for any flow: here against the Jacobian of `encode`.

# %%
x = points[:5]
z = flow.encode(x)


def latents(one):
    return flow.encode(one[None])[0]


jacobians = jax.vmap(jax.jacfwd(latents))(x)
log_prob_of_z = jax.scipy.stats.norm.logpdf(z).sum(axis=1)
by_hand = log_prob_of_z + jnp.linalg.slogdet(jacobians)[1]
print("largest difference:", float(jnp.abs(by_hand - flow.log_prob(x)).max()))

# %% [markdown]
# What the map does to a square grid of latents:

# %%
ax.visualization.warped_grid(flow.decode, (-2.0, 2.0, -2.0, 2.0))

# %% [markdown]
# And what each layer does to the same latents, coloured by their angle:

# %%
from artifex.generative_models.models.flow import flow_states

latents_of_samples = jax.random.normal(jax.random.key(4), (1000, 2))
ax.visualization.layer_scatters(flow_states(flow, latents_of_samples))

# %% [markdown]
# ## Samples and temperature
#
# `sample_and_log_prob` gives samples with their densities, in one pass. At a temperature below 1 the latents are drawn
# from a narrower density: fewer outliers, less variety. Training wants 1.

# %%
samples, log_prob = flow.sample_and_log_prob(1000, key=jax.random.key(5))
print("mean log-density of samples:", float(log_prob.mean()))
cool, _ = flow.sample_and_log_prob(1000, key=jax.random.key(5), temperature=0.6)
ax.visualization.point_scatter(cool, samples, limits=limits)  # left: temperature 0.6, right: 1

# %% [markdown]
# ## Your own layers, and conditions
#
# Any chain of bijections is a flow. Each is a config, so the flow can stand in a YAML file; `scan` compiles equal
# layers once, whatever their number. Here are affine couplings between rotations, with norms that the first batch of
# training sets.
#
# With a condition, a flow is a family of densities. Here it is the angle of a line near which points lie, as its sine
# and cosine; of the angles that are drawn in the end the flow never saw one.

# %%
from artifex.generative_models.core.configuration import (
    ActNormConfig,
    BijectionFlowConfig,
    ChainConfig,
    CouplingLayerConfig,
    HouseholderConfig,
    ScannedConfig,
    TrainingConfig,
)

layer = ChainConfig(layers=(CouplingLayerConfig(mask="last"), HouseholderConfig(), ActNormConfig()))
config = BijectionFlowConfig(
    event_shape=(2,), condition_shape=(2,), bijection=ScannedConfig(layer=layer, num_layers=8)
)


def direction(angle):
    """Cosine and sine."""
    return np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)


rng = np.random.default_rng(0)
num = 20_000
unit = direction(rng.uniform(0.0, np.pi, size=num))
across = unit[:, ::-1] * np.array([-1.0, 1.0])
turned = rng.normal(scale=1.0, size=(num, 1)) * unit + rng.normal(scale=0.1, size=(num, 1)) * across

training = TrainingConfig(num_steps=100 if SMOKE else 2000, batch_size=256)
lines = ax.create_model(config, key=jax.random.key(6))
batches = {"x": turned.astype(np.float32), "condition": unit}
lines = ax.fit(lines, batches, training, key=jax.random.key(7)).model

fan = np.repeat(direction(np.array([0.4, 1.2, 2.5])), 300, axis=0)
made = lines.generate(900, key=jax.random.key(8), condition=fan)
ax.visualization.latent_scatter(made, np.repeat([0, 1, 2], 300))
