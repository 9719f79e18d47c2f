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
# # Simulation-based inference
#
# A simulator turns parameters into observations, and its likelihood is out of reach. A conditional flow that is
# trained on pairs of both gives the posterior of the parameters for any observation, at once. On two CPU cores this
# takes about two minutes.

# %%
import os

import jax
import numpy as np

import artifex as ax
from artifex.generative_models.core.configuration import (
    AdamConfig,
    NSFConfig,
    TrainingConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.core.evaluation import simulation_based_calibration

SMOKE = os.environ.get("ARTIFEX_SMOKE") == "1"  # a short run, for automatic tests

# %% [markdown]
# ## A simulator
#
# An epidemic: of a million people, some are infected; each infects `beta` others a day and is well again after
# `1 / gamma` days. What is seen are the new cases of ten weeks, of which a tenth is counted, with the noise of
# counting. Both parameters are known beforehand up to a factor of two or so.

# %%
POPULATION, WEEKS = 1e6, 10


def prior(num, rng):
    """Logarithms of beta and gamma."""
    return np.log([0.4, 0.15]) + np.array([0.4, 0.3]) * rng.normal(size=(num, 2))


def simulate(log_parameters, rng):
    """Logarithms of the counted cases of each week, one more so that there are always some."""
    beta, gamma = np.exp(log_parameters).T
    infected = np.full(len(beta), 100.0)
    susceptible = POPULATION - infected
    weeks = np.zeros((len(beta), WEEKS))
    for day in range(7 * WEEKS):
        new = np.minimum(beta * infected * susceptible / POPULATION, susceptible)
        susceptible, infected = susceptible - new, infected + new - gamma * infected
        weeks[:, day // 7] += new
    return np.log1p(rng.poisson(0.1 * weeks))


rng = np.random.default_rng(0)
num = 2_000 if SMOKE else 30_000
theta = prior(num, rng).astype(np.float32)
x = simulate(theta, rng).astype(np.float32)
print("cases of the first:", np.expm1(x[0]).round().astype(int))

# %% [markdown]
# ## The posterior as a flow
#
# The parameters are the examples, the observations the conditions. `standardize=True` shifts and scales both to mean 0
# and standard deviation 1 inside of the model, as the first batch says; outside, everything stays in its own units.

# %%
config = NSFConfig(event_shape=(2,), condition_shape=(WEEKS,), num_layers=5, hidden_size=64, standardize=True)
training = TrainingConfig(
    num_steps=100 if SMOKE else 4000,
    batch_size=256,
    optimizer=AdamConfig(learning_rate=1e-3),
    schedule=WarmupCosineScheduleConfig(warmup_fraction=0.05),
)
posterior = ax.create_model(config, key=jax.random.key(0))
result = ax.fit(posterior, {"x": theta, "condition": x}, training, key=jax.random.key(1))
posterior = result.model
ax.visualization.training_curves(result.records)

# %% [markdown]
# An outbreak, and what it says. The dashed lines are the parameters with which it was simulated; orange is the prior.

# %%
NAMES = ["log beta", "log gamma"]
truth = prior(1, rng).astype(np.float32)
observed = simulate(truth, rng).astype(np.float32)[0]
draws = posterior.generate(1000, key=jax.random.key(2), condition=observed)
ax.visualization.pair_plot(draws, prior(1000, rng), names=NAMES, truth=truth[0])

# %% [markdown]
# The flow has a density, too, so a map of the posterior needs no samples:

# %%
low, high = np.asarray(draws).min(axis=0) - 0.05, np.asarray(draws).max(axis=0) + 0.05
ax.visualization.density_map(
    lambda cells: posterior.log_prob(cells, condition=np.tile(observed, (len(cells), 1))),
    (float(low[0]), float(high[0]), float(low[1]), float(high[1])),
    num_cells=30 if SMOKE else 120,
)

# %% [markdown]
# Would outbreaks like these be like the one that was seen? Simulate from draws of the posterior and compare.

# %%
repeated = np.expm1(simulate(np.asarray(draws, np.float64), rng))
low, middle, high = np.quantile(repeated, [0.05, 0.5, 0.95], axis=0)
for week in range(WEEKS):
    print(
        f"week {week + 1:2d}: seen {np.expm1(observed[week]):6.0f}, 90 % of repetitions in "
        f"{low[week]:6.0f} ... {high[week]:6.0f}, middle {middle[week]:6.0f}"
    )

# %% [markdown]
# ## Is it right?
#
# For parameters of the prior and observations simulated from them, the rank of the truth among draws of the posterior
# is uniform, if the posterior is right. Bars should stay in the grey band. Humps in the middle would mean posteriors
# that are too wide, at the ends too narrow ones.

# %%
num_tests = 100 if SMOKE else 1000
fresh = prior(num_tests, rng).astype(np.float32)
seen = simulate(fresh, rng).astype(np.float32)
calibration = simulation_based_calibration(posterior, fresh, seen, key=jax.random.key(3), num_draws=99)
print("p-values:", calibration.p_values.round(3))
ax.visualization.rank_histograms(calibration, names=NAMES)

# %% [markdown]
# The same as coverage: of all credible regions of 90 %, how many hold the truth? The black line is that of regions of
# highest density, in both parameters together.

# %%
print("regions of 90 %:", calibration.density_coverage(np.array([0.9])).round(3))
ax.visualization.coverage_curves(calibration, names=NAMES)

# %% [markdown]
# An overconfident posterior is found out: here the same draws, pulled halfway to their mean.

# %%
from artifex.generative_models.core.evaluation import calibration_of_draws

made = np.asarray(
    posterior.generate(num_tests * 99, key=jax.random.key(4), condition=np.repeat(seen, 99, axis=0))
).reshape(num_tests, 99, 2)
centre = made.mean(axis=1, keepdims=True)
narrow = calibration_of_draws(fresh, centre + 0.5 * (made - centre))
print("p-values:", narrow.p_values.round(3))
ax.visualization.rank_histograms(narrow, names=NAMES)
