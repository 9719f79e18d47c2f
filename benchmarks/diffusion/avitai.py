"""avitai-artifex (import name `artifex`, in the peers' environment): its DDPM with its own UNet of about equal size.

python -m benchmarks.diffusion.avitai FOLDER train|sample

Its UNet has another structure and takes no foreign weights, so it is compared by its number of parameters. Training is
its trainer's step under `nnx.jit`, as its documentation shows (in its staged epoch, a loop, convolutions are slower on
CPUs); sampling is its public `sample(scheduler="ddim")`, which is not compiled.
"""

import importlib.metadata
import itertools
import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from artifex.generative_models.models.diffusion.ddpm import DDPMModel
from artifex.generative_models.training.trainers.diffusion_trainer import DiffusionTrainer
from flax import nnx
from safetensors.numpy import load_file

from artifex.generative_models.core.configuration import DDPMConfig, NoiseScheduleConfig, UNetBackboneConfig
from benchmarks.diffusion.problem import Given, load_problem
from benchmarks.worker import Blocks, serve

_WEIGHTS = "diffusion_pytorch_model.safetensors"


def count(model: Any) -> int:
    """Number of parameters."""
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(model, nnx.Param)))


def make_model(given: Given) -> Any:
    """The one whose number of parameters is nearest to that of the given network; its widths are multiples of 32."""
    wanted = sum(array.size for array in load_file(given.unet / _WEIGHTS).values())
    levels, side = len(given.problem.channels), given.problem.side
    widths = itertools.combinations_with_replacement((32, 64, 96), levels)

    def make(channels: tuple[int, ...]) -> Any:
        backbone = UNetBackboneConfig(
            name="unet", hidden_dims=channels, activation="silu", in_channels=1, out_channels=1
        )
        schedule = NoiseScheduleConfig(name="schedule")
        config = DDPMConfig(
            name="ddpm", backbone=backbone, noise_schedule=schedule, input_shape=(side, side, 1)
        )
        return DDPMModel(config, rngs=nnx.Rngs(params=0, noise=1, sample=2, dropout=3, timestep=4))

    # It cannot be built from shapes alone.
    return min(map(make, widths), key=lambda model: abs(count(model) - wanted))


def describe(given: Given) -> dict[str, Any]:
    """Versions and the size."""
    names = ("avitai-artifex", "flax", "jax", "optax")
    return {
        "versions": {name: importlib.metadata.version(name) for name in names},
        "device": jax.devices()[0].device_kind,
        "num_parameters": count(make_model(given)),
        "outputs": None,
    }


def train(given: Given, blocks: Blocks) -> dict[str, Any]:
    """Its trainer's compiled step, over data in memory, in a new order each epoch."""
    problem, model = given.problem, make_model(given)
    optimizer = nnx.Optimizer(model, optax.adam(problem.learning_rate), wrt=nnx.Param)
    step = nnx.jit(DiffusionTrainer(model.noise_schedule).train_step)
    data = jnp.asarray(given.data.transpose(0, 2, 3, 1))
    generator, key = np.random.default_rng(0), jax.random.key(1)
    order, start, number, loss = generator.permutation(len(data)), 0, 0, jnp.zeros(())
    for _ in blocks:
        for _ in range(problem.steps_per_block):
            if start + problem.batch_size > len(data):
                order, start = generator.permutation(len(data)), 0
            batch = {"image": data[order[start : start + problem.batch_size]]}
            start, number = start + problem.batch_size, number + 1
            loss, _ = step(model, optimizer, batch, jax.random.fold_in(key, number))
        jax.block_until_ready((loss, nnx.state(model, nnx.Param)))
    return {"final_loss": float(loss)}


def sample(given: Given, blocks: Blocks) -> dict[str, Any]:
    """One call of its public `sample`."""
    problem, model = given.problem, make_model(given)
    x = jnp.zeros(())
    for _ in blocks:
        x = model.sample(problem.num_samples, scheduler="ddim", steps=problem.num_sampling_steps)
        x.block_until_ready()
    return {"rms": float(jnp.sqrt(jnp.mean(x**2)))}


if __name__ == "__main__":
    folder, task = sys.argv[1:]
    given = load_problem(Path(folder))
    loop = {"train": train, "sample": sample}[task]
    serve(lambda: describe(given), lambda blocks: loop(given, blocks))
