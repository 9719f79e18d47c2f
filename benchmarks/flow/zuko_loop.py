"""zuko on PyTorch: its neural spline flow, autoregressive or with two passes (couplings).

PEERS_PYTHON -m benchmarks.flow.zuko_loop FORM TASK
"""

import importlib.metadata
import os
import sys
from typing import Any

import torch
import zuko

from benchmarks.flow.problem import Problem, make_data
from benchmarks.worker import Blocks, serve


def make_flow(problem: Problem, form: str) -> Any:
    """The flow."""
    torch.manual_seed(0)
    return zuko.flows.NSF(
        features=problem.size,
        bins=problem.num_bins,
        transforms=problem.num_layers,
        hidden_features=[problem.hidden_size] * problem.num_hidden_layers,
        passes=2 if form == "coupling" else None,
    )


def describe(flow: Any) -> dict[str, Any]:
    """Versions and size."""
    return {
        "versions": {name: importlib.metadata.version(name) for name in ("zuko", "torch")},
        "num_parameters": sum(parameter.numel() for parameter in flow.parameters()),
    }


def train(problem: Problem, flow: Any, blocks: Blocks) -> dict[str, Any]:
    """A plain loop."""
    x, value = torch.from_numpy(make_data(problem)), torch.zeros(())
    optimizer, calls = torch.optim.Adam(flow.parameters(), lr=problem.learning_rate), 0
    for _ in blocks:
        for _ in range(problem.calls_per_block):
            optimizer.zero_grad()
            start = problem.batch_size * (calls % problem.num_batches)
            calls += 1
            value = -flow().log_prob(x[start : start + problem.batch_size]).mean()
            value.backward()
            optimizer.step()
    return {"final_loss": float(value)}


def log_prob(problem: Problem, flow: Any, blocks: Blocks) -> dict[str, Any]:
    """Without gradients."""
    x, value = torch.from_numpy(make_data(problem)[: problem.batch_size]), torch.zeros(())
    with torch.no_grad():
        for _ in blocks:
            for _ in range(problem.calls_per_block):
                value = flow().log_prob(x)
    return {"mean": float(value.mean())}


def sample(problem: Problem, flow: Any, blocks: Blocks) -> dict[str, Any]:
    """Without gradients."""
    x = torch.zeros(())
    with torch.no_grad():
        for _ in blocks:
            for _ in range(problem.calls_per_block):
                x = flow().sample((problem.batch_size,))
    return {"rms": float(x.square().mean().sqrt())}


if __name__ == "__main__":
    form, task = sys.argv[1:]
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    problem = Problem()
    flow = make_flow(problem, form)
    loop = {"train": train, "log_prob": log_prob, "sample": sample}[task]
    serve(lambda: describe(flow), lambda blocks: loop(problem, flow, blocks))
