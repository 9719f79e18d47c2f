"""PyTorch, eager or through `torch.compile`.

python -m benchmarks.vae.pytorch FOLDER eager|compile
"""

import os
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.vae.problem import MIN_SCALE, Given, Problem, Weights, load_problem, narrow
from benchmarks.worker import Blocks, serve


class VAE(nn.Module):
    """The network of the problem; `forward` gives the loss and its KL part."""

    def __init__(self, problem: Problem, weights: Weights):
        super().__init__()

        def linear(name: str) -> nn.Linear:
            inputs, outputs = weights[f"{name}.weight"].shape
            layer = nn.Linear(inputs, outputs)
            layer.weight.data = torch.from_numpy(weights[f"{name}.weight"].T.copy())
            layer.bias.data = torch.from_numpy(weights[f"{name}.bias"].copy())
            return layer

        def stack(names: tuple[str, ...]) -> nn.Sequential:
            return nn.Sequential(*(part for name in names for part in (linear(name), nn.ReLU())))

        self.encoder = stack(problem.encoder_layers)
        self.loc, self.raw_scale = linear("loc"), linear("raw_scale")
        self.decoder = nn.Sequential(*stack(problem.decoder_layers), linear("logits"))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Loss and KL, averaged over the batch."""
        h = self.encoder(x)
        loc, scale = self.loc(h), nn.functional.softplus(self.raw_scale(h)) + MIN_SCALE
        z = loc + scale * torch.randn_like(loc)
        logits = self.decoder(z)
        kl = 0.5 * torch.sum(scale**2 + loc**2 - 1.0 - 2.0 * torch.log(scale), dim=1).mean()
        nll = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum") / len(x)
        return nll + kl, kl


def describe(given: Given, device: torch.device) -> dict[str, Any]:
    """Versions and the values to check."""
    x = torch.from_numpy(given.batch).to(device)
    with torch.no_grad():
        total, _ = VAE(given.problem, narrow(given.weights)).to(device)(x)
        _, kl = VAE(given.problem, given.weights).to(device)(x)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {
        "versions": {"torch": torch.__version__},
        "device": name,
        "narrow_loss": float(total),
        "kl": float(kl),
    }


def train(given: Given, blocks: Blocks, form: str, device: torch.device) -> dict[str, Any]:
    """Epochs over data on the device, in a new order each."""
    problem = given.problem
    torch.manual_seed(1)
    model = VAE(problem, given.weights).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=problem.learning_rate, fused=True)
    data = torch.from_numpy(given.data).to(device)
    loss = torch.compile(model) if form == "compile" else model
    total = torch.zeros((), device=device)
    for _ in blocks:
        for _ in range(problem.epochs_per_block):
            total = torch.zeros((), device=device)
            order = torch.randperm(len(data), device=device)
            for batch in order[: problem.steps_per_epoch * problem.batch_size].split(problem.batch_size):
                value, _ = loss(data[batch])
                optimizer.zero_grad(set_to_none=True)
                value.backward()
                optimizer.step()
                total += value.detach()
        if device.type == "cuda":
            torch.cuda.synchronize()
    return {"final_loss": float(total) / problem.steps_per_epoch}


if __name__ == "__main__":
    folder, form = sys.argv[1:]
    given = load_problem(Path(folder))
    torch.set_num_threads(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    serve(lambda: describe(given, device), lambda blocks: train(given, blocks, form, device))
