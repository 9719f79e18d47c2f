"""Artifex: its VAE through `fit`, or its compiled train step called once for each batch.

python -m benchmarks.vae.artifex_loop FOLDER fit|step
"""

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from artifex.generative_models.core.configuration import (
    AdamConfig,
    MLPDecoderConfig,
    MLPEncoderConfig,
    TrainingConfig,
    VAEConfig,
)
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.vae import VAE
from artifex.generative_models.scaling import make_mesh
from artifex.generative_models.training import fit, init_state, make_optimizer, make_train_step
from benchmarks.artifex_blocks import NextBlock
from benchmarks.vae.problem import Given, Problem, Weights, load_problem, narrow
from benchmarks.worker import Blocks, serve


def make_model(problem: Problem, weights: Weights) -> VAE:
    """Its VAE with the given weights."""
    config = VAEConfig(
        event_shape=(problem.event_size,),
        latent_size=problem.latent_size,
        encoder=MLPEncoderConfig(hidden_sizes=problem.hidden_sizes, activation="relu"),
        decoder=MLPDecoderConfig(hidden_sizes=tuple(reversed(problem.hidden_sizes)), activation="relu"),
    )
    posterior = {
        part: np.concatenate([weights[f"loc.{part}"], weights[f"raw_scale.{part}"]], axis=-1)
        for part in ("weight", "bias")
    }
    names = (*problem.encoder_layers, "posterior", *problem.decoder_layers, "logits")
    all_weights = {**weights, **{f"posterior.{part}": value for part, value in posterior.items()}}
    arrays = [
        jnp.asarray(value)
        for n in names
        for value in (all_weights[f"{n}.weight"].T, all_weights[f"{n}.bias"])
    ]

    def where(model: Any) -> list[Any]:
        mlps = (model.encoder.mlp, model.decoder.mlp)
        return [
            leaf for mlp in mlps for layer in (*mlp.hidden, mlp.out) for leaf in (layer.weight, layer.bias)
        ]

    return eqx.tree_at(where, create_model(config, key=jax.random.key(0)), arrays)


def training_config(problem: Problem) -> TrainingConfig:
    """Defaults, and as many steps as the harness wants: it stops the run."""
    return TrainingConfig(
        log_every=min(TrainingConfig().log_every, problem.steps_per_block),
        num_steps=10**9,
        batch_size=problem.batch_size,
        optimizer=AdamConfig(learning_rate=problem.learning_rate),
    )


def describe(given: Given) -> dict[str, Any]:
    """Versions and the values to check."""
    key = jax.random.key(0)
    total = make_model(given.problem, narrow(given.weights)).loss(given.batch, key=key).total
    metrics = make_model(given.problem, given.weights).loss(given.batch, key=key).metrics
    names = ("artifex", "equinox", "jax", "optax")
    return {
        "versions": {name: importlib.metadata.version(name) for name in names},
        "device": jax.devices()[0].device_kind,
        "narrow_loss": float(total),
        "kl": float(metrics["kl"]),
    }


def train_by_fit(given: Given, blocks: Blocks) -> dict[str, Any]:
    """`fit` as a user calls it, without the progress bar."""
    problem = given.problem
    model = make_model(problem, given.weights)
    if next(blocks, "end") == "end":
        return {"final_loss": float("nan"), "num_traces": 0}
    result = fit(
        model,
        given.data,
        training_config(problem),
        key=jax.random.key(1),
        callbacks=[NextBlock(blocks, problem.steps_per_block)],
        progress=False,
    )
    num_records = max(problem.steps_per_epoch // training_config(problem).log_every, 1)
    losses = [record["loss"] for record in result.records[-num_records:]]
    return {"final_loss": float(np.mean(losses)), "num_traces": result.num_traces}


def train_by_step(given: Given, blocks: Blocks) -> dict[str, Any]:
    """The public compiled step, one batch a call, from the host."""
    problem = given.problem
    config = training_config(problem)
    optimizer = make_optimizer(config)
    state = init_state(make_model(problem, given.weights), optimizer, key=jax.random.key(1))
    step = make_train_step(state, optimizer, mesh=make_mesh(config.mesh))
    state = step.place(state)
    generator = np.random.default_rng(3)
    losses: list[Any] = []
    for _ in blocks:
        for _ in range(problem.epochs_per_block):
            order = generator.permutation(problem.num_examples)
            losses = []
            for indices in order.reshape(-1, problem.batch_size):
                state, metrics = step(state, {"x": given.data[indices]})
                losses.append(metrics["loss"])
        jax.block_until_ready(losses)
    return {"final_loss": float(jnp.mean(jnp.stack(losses))), "num_traces": step.num_traces}


if __name__ == "__main__":
    folder, form = sys.argv[1:]
    given = load_problem(Path(folder))
    loop = {"fit": train_by_fit, "step": train_by_step}[form]
    serve(lambda: describe(given), lambda blocks: loop(given, blocks))
