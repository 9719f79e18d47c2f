"""PyTorch with the `diffusers` package: its UNet, its schedulers, a plain loop; eager or through `torch.compile`.

python -m benchmarks.diffusion.torch_unet FOLDER train|sample eager|compile
python -m benchmarks.diffusion.torch_unet FOLDER weights
"""

import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Any

import torch
from diffusers import DDIMScheduler, DDPMScheduler, UNet2DModel

from benchmarks.diffusion.problem import NUM_LEVELS, Given, load_problem, output_summary
from benchmarks.worker import Blocks, serve


def write_weights(given: Given) -> None:
    """Random weights from which all implementations start."""
    torch.manual_seed(0)
    UNet2DModel(**given.problem.unet_settings).save_pretrained(given.unet)


def describe(given: Given) -> dict[str, Any]:
    """Versions and the outputs to check."""
    network = UNet2DModel.from_pretrained(given.unet).eval()
    with torch.no_grad():
        y = network(torch.from_numpy(given.x), torch.from_numpy(given.levels)).sample.numpy()
    return {
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "diffusers")},
        "device": "cpu",
        "num_parameters": sum(part.numel() for part in network.parameters()),
        "outputs": output_summary(y),
    }


def train(given: Given, blocks: Blocks, form: str) -> dict[str, Any]:
    """Training steps over data in memory, in a new order each epoch."""
    problem = given.problem
    network = UNet2DModel.from_pretrained(given.unet)
    compiled = torch.compile(network) if form == "compile" else network
    optimizer = torch.optim.Adam(network.parameters(), lr=problem.learning_rate, fused=True)
    scheduler = DDPMScheduler(NUM_LEVELS)
    data = torch.from_numpy(given.data)
    order = torch.randperm(len(data))
    start, value = 0, torch.zeros(())
    for _ in blocks:
        for _ in range(problem.steps_per_block):
            if start + problem.batch_size > len(data):
                order, start = torch.randperm(len(data)), 0
            x = data[order[start : start + problem.batch_size]]
            start += problem.batch_size
            noise = torch.randn_like(x)
            levels = torch.randint(0, NUM_LEVELS, (len(x),))
            output = compiled(scheduler.add_noise(x, noise, levels), levels).sample
            value = torch.mean((output - noise) ** 2)
            optimizer.zero_grad(set_to_none=True)
            value.backward()
            optimizer.step()
    return {"final_loss": float(value)}


def sample(given: Given, blocks: Blocks, form: str) -> dict[str, Any]:
    """One call: noise to pictures."""
    problem = given.problem
    network = UNet2DModel.from_pretrained(given.unet).eval()
    compiled = torch.compile(network) if form == "compile" else network
    scheduler = DDIMScheduler(NUM_LEVELS, clip_sample=False, timestep_spacing="trailing")
    x = torch.zeros(())
    for _ in blocks:
        scheduler.set_timesteps(problem.num_sampling_steps)
        x = torch.randn(problem.num_samples, 1, problem.side, problem.side)
        with torch.no_grad():
            for level in scheduler.timesteps:
                x = scheduler.step(compiled(x, level).sample, level, x).prev_sample
    return {"rms": float(torch.sqrt(torch.mean(x**2)))}


if __name__ == "__main__":
    folder, task, *rest = sys.argv[1:]
    given = load_problem(Path(folder))
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    if task == "weights":
        write_weights(given)
    else:
        loop = {"train": train, "sample": sample}[task]
        serve(lambda: describe(given), lambda blocks: loop(given, blocks, rest[0]))
