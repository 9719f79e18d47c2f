"""Artifex: its neural spline flow, one compiled call for a step, a density, or samples.

python -m benchmarks.flow.artifex_loop FORM TASK
"""

import importlib.metadata
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from artifex.generative_models.core.configuration import AdamConfig, NSFConfig, TrainingConfig
from artifex.generative_models.core.trainable import count_parameters
from artifex.generative_models.factory import create_model
from artifex.generative_models.training import fit
from benchmarks.artifex_blocks import NextBlock
from benchmarks.flow.problem import Problem, make_data
from benchmarks.worker import Blocks, serve


def make_model(problem: Problem, form: str) -> Any:
    """The flow."""
    config = NSFConfig(
        event_shape=(problem.size,),
        num_layers=problem.num_layers,
        hidden_size=problem.hidden_size,
        num_hidden_layers=problem.num_hidden_layers,
        num_bins=problem.num_bins,
        bound=problem.bound,
        activation="relu",
        mixing="reverse",
        is_autoregressive=form == "autoregressive",
    )
    return create_model(config, key=jax.random.key(0))


def describe(model: Any) -> dict[str, Any]:
    """Versions and size."""
    names = ("artifex", "equinox", "jax")
    return {
        "versions": {name: importlib.metadata.version(name) for name in names},
        "num_parameters": count_parameters(model),
    }


def train(problem: Problem, model: Any, blocks: Blocks) -> dict[str, Any]:
    """`fit` as a user calls it, without the progress bar."""
    config = TrainingConfig(
        num_steps=10**9,  # the harness stops the run
        batch_size=problem.batch_size,
        optimizer=AdamConfig(learning_rate=problem.learning_rate),
        log_every=problem.calls_per_block,
    )
    if next(blocks, "end") == "end":
        return {"final_loss": float("nan")}
    callback = NextBlock(blocks, problem.calls_per_block)
    result = fit(
        model, make_data(problem), config, key=jax.random.key(1), callbacks=[callback], progress=False
    )
    return {"final_loss": float(result.records[-1]["loss"])}


def log_prob(problem: Problem, model: Any, blocks: Blocks) -> dict[str, Any]:
    """The public method."""
    x, value = jnp.asarray(make_data(problem)[: problem.batch_size]), jnp.zeros(())
    for _ in blocks:
        for _ in range(problem.calls_per_block):
            value = model.log_prob(x)
        value.block_until_ready()
    return {"mean": float(jnp.mean(value))}


def sample(problem: Problem, model: Any, blocks: Blocks) -> dict[str, Any]:
    """The public method."""
    x = jnp.zeros(())
    for number, _ in enumerate(blocks):
        for call in range(problem.calls_per_block):
            x = model.generate(problem.batch_size, key=jax.random.key(1000 * number + call))
        x.block_until_ready()
    return {"rms": float(np.sqrt(np.mean(np.square(x))))}


if __name__ == "__main__":
    form, task = sys.argv[1:]
    problem = Problem()
    model = make_model(problem, form)
    loop = {"train": train, "log_prob": log_prob, "sample": sample}[task]
    serve(lambda: describe(model), lambda blocks: loop(problem, model, blocks))
