"""Artifex: its DDPM with the same UNet through `fit`, its sampler, and the UNet alone in one scan.

python -m benchmarks.diffusion.artifex_loop FOLDER train|sample|network
"""

import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from artifex.generative_models.core.compilation import compiled
from artifex.generative_models.core.configuration import (
    AdamConfig,
    DDPMConfig,
    TrailingSpacingConfig,
    TrainingConfig,
)
from artifex.generative_models.core.trainable import count_parameters
from artifex.generative_models.factory import create_model
from artifex.generative_models.models.backbones.denoisers.converters.diffusers import load_diffusers
from artifex.generative_models.training import fit
from benchmarks.artifex_blocks import NextBlock
from benchmarks.diffusion.problem import NUM_LEVELS, Given, load_problem, output_summary
from benchmarks.worker import Blocks, serve


def make_model(given: Given) -> Any:
    """A DDPM around the given network."""
    loaded = load_diffusers(given.unet)
    config = DDPMConfig(event_shape=loaded.event_shape, network=loaded.config)
    model = create_model(config, key=jax.random.key(0))
    return eqx.tree_at(lambda model: model.network, model, loaded.network)


def describe(given: Given) -> dict[str, Any]:
    """Versions and the outputs to check."""
    network = load_diffusers(given.unet).network
    evaluate = eqx.filter_jit(eqx.filter_vmap(lambda x, level: network(x, level, None)))
    y = evaluate(jnp.asarray(given.x), jnp.asarray(given.levels, jnp.float32))
    names = ("artifex", "equinox", "jax", "optax")
    return {
        "versions": {name: importlib.metadata.version(name) for name in names},
        "device": jax.devices()[0].device_kind,
        "num_parameters": count_parameters(network),
        "outputs": output_summary(np.asarray(y)),
    }


def train(given: Given, blocks: Blocks) -> dict[str, Any]:
    """`fit` as a user calls it, without the progress bar."""
    problem = given.problem
    config = TrainingConfig(
        num_steps=10**9,  # the harness stops the run
        batch_size=problem.batch_size,
        optimizer=AdamConfig(learning_rate=problem.learning_rate),
        log_every=problem.steps_per_block,
    )
    if next(blocks, "end") == "end":
        return {"final_loss": float("nan"), "num_traces": 0}
    callbacks = [NextBlock(blocks, problem.steps_per_block)]
    result = fit(
        make_model(given), given.data, config, key=jax.random.key(1), callbacks=callbacks, progress=False
    )
    return {"final_loss": float(result.records[-1]["loss"]), "num_traces": result.num_traces}


def sample(given: Given, blocks: Blocks) -> dict[str, Any]:
    """One call of the public `sample`."""
    problem, model = given.problem, make_model(given)
    x = jnp.zeros(())
    for number, _ in enumerate(blocks):
        x = model.sample(
            problem.num_samples,
            key=jax.random.key(number),
            sampler="ddim",
            num_steps=problem.num_sampling_steps,
            spacing=TrailingSpacingConfig(num_levels=NUM_LEVELS),
        ).x
        x.block_until_ready()
    return {"rms": float(jnp.sqrt(jnp.mean(x**2)))}


def network_alone(given: Given, blocks: Blocks) -> dict[str, Any]:
    """As many evaluations of the network, in one compiled loop: what no sampler can do without."""
    problem, network = given.problem, load_diffusers(given.unet).network
    levels = jnp.linspace(NUM_LEVELS - 1.0, 0.0, problem.num_sampling_steps)

    @compiled
    def run(network: Any, x: jax.Array) -> jax.Array:
        def body(x: jax.Array, level: jax.Array) -> tuple[jax.Array, None]:
            return jax.vmap(lambda x: network(x, level, None))(x), None

        return jax.lax.scan(body, x, levels)[0]

    x = jnp.asarray(given.x)
    for _ in blocks:
        run(network, x).block_until_ready()
    return {}


if __name__ == "__main__":
    folder, task = sys.argv[1:]
    given = load_problem(Path(folder))
    loop = {"train": train, "sample": sample, "network": network_alone}[task]
    serve(lambda: describe(given), lambda blocks: loop(given, blocks))
