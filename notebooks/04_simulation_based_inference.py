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
# takes about a minute.

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
# An epidemic: of 20,000 people, some are infected; each infects `beta` others a day and is well again after `1 / gamma`
# days. What is seen are the new cases of ten weeks, of which one in fifty is counted, with the noise of counting. Both
# parameters are known beforehand up to a factor of two or so.

# %%
POPULATION, WEEKS, COUNTED = 20_000, 10, 0.02
PRIOR_MEAN, PRIOR_STD = np.log([0.5, 0.2]), np.array([0.3, 0.3])


def prior(num, rng):
    """Logarithms of beta and gamma."""
    return PRIOR_MEAN + PRIOR_STD * rng.normal(size=(num, 2))


def expected_counts(log_parameters):
    """Of each week."""
    beta, gamma = np.exp(log_parameters).T
    infected = np.full(len(beta), 20.0)
    susceptible = POPULATION - infected
    weeks = np.zeros((len(beta), WEEKS))
    for day in range(7 * WEEKS):
        new = np.minimum(beta * infected * susceptible / POPULATION, susceptible)
        susceptible, infected = susceptible - new, infected + new - gamma * infected
        weeks[:, day // 7] += new
    return COUNTED * weeks


def simulate(log_parameters, rng):
    """Square roots of the counts, whose noise is the same for small and for large ones."""
    return np.sqrt(rng.poisson(expected_counts(log_parameters)))


rng = np.random.default_rng(0)
num = 2_000 if SMOKE else 30_000
theta = prior(num, rng).astype(np.float32)
x = simulate(theta, rng).astype(np.float32)
print("counts of the first:", np.square(x[0]).round().astype(int))

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
# The flow has a density, too, so a map of the posterior needs no samples. This simulator is simple enough for its
# likelihood to be known, so the right panel can show the truth.


# %%
def exact_log_density(cells):
    """By Bayes' rule, on a grid that holds nearly all of it."""
    means = expected_counts(cells.astype(np.float64))
    log_prior = -0.5 * np.sum(((cells - PRIOR_MEAN) / PRIOR_STD) ** 2, axis=1)
    log_joint = log_prior + np.sum(np.square(observed).round() * np.log(means) - means, axis=1)
    joint = np.exp(log_joint - log_joint.max())
    area = np.prod(np.ptp(cells, axis=0) / (len(cells) ** 0.5 - 1))  # of a cell
    return np.log(joint / (area * joint.sum()) + 1e-30)


centre, spread = np.asarray(draws).mean(axis=0), 4 * np.asarray(draws).std(axis=0)
ax.visualization.density_map(
    lambda cells: posterior.log_prob(cells, condition=np.tile(observed, (len(cells), 1))),
    tuple(float(end) for i in range(2) for end in (centre[i] - spread[i], centre[i] + spread[i])),
    num_cells=30 if SMOKE else 120,
    true_log_prob=exact_log_density,
)

# %% [markdown]
# Would outbreaks like these be like the one that was seen? Simulate from draws of the posterior and compare.

# %%
repeated = np.square(simulate(np.asarray(draws, np.float64), rng))
low, middle, high = np.quantile(repeated, [0.05, 0.5, 0.95], axis=0)
for week in range(WEEKS):
    print(
        f"week {week + 1:2d}: seen {np.square(observed[week]):4.0f}, 90 % of repetitions in "
        f"{low[week]:4.0f} ... {high[week]:4.0f}, middle {middle[week]:4.0f}"
    )

# %% [markdown]
# ## Is it right?
#
# For parameters of the prior and observations simulated from them, the rank of the truth among draws of the posterior
# is uniform, if the posterior is right. Bars should stay in the grey band. Humps in the middle would mean posteriors
# that are too wide, at the ends too narrow ones. The prior itself would pass, so the width matters, too: see above.

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
