"""The problem that all implementations solve: a dense Bernoulli VAE, Adam, data in memory, a new order each epoch.

    encoder   x -> relu layers -> loc, raw_scale         scale = softplus(raw_scale) + 1e-6
    decoder   z -> relu layers -> logits
    loss      mean over the batch of  -log Bernoulli(x | decoder(z)) + KL(N(loc, scale) | N(0, 1)),  z ~ N(loc, scale)

One peer has scale = exp(raw_scale / 2) built in; that is checked against its own reference, and costs the same.

Only NumPy: every environment has it. Weights are stored as `(inputs, outputs)`.
"""

import dataclasses
import itertools
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

Weights = dict[str, np.ndarray]

MIN_SCALE = 1e-6
NARROW_SCALE = 1e-3


@dataclasses.dataclass(frozen=True)
class Problem:
    """Sizes and settings.

    Attributes:
        epochs_per_block: epochs in one timed block, such that a block is long beside the clock and the scheduler.
    """

    event_size: int = 784
    hidden_sizes: tuple[int, ...] = (200, 200)
    latent_size: int = 50
    batch_size: int = 128
    num_examples: int = 12_800
    learning_rate: float = 1e-3
    epochs_per_block: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """The examples are a whole number of batches."""
        return self.num_examples // self.batch_size

    @property
    def steps_per_block(self) -> int:
        """Training steps in one timed block."""
        return self.steps_per_epoch * self.epochs_per_block

    @property
    def encoder_layers(self) -> tuple[str, ...]:
        """Names of the encoder's hidden layers, first to last."""
        return tuple(f"encoder{i}" for i in range(len(self.hidden_sizes)))

    @property
    def decoder_layers(self) -> tuple[str, ...]:
        """Names of the decoder's hidden layers, first to last."""
        return tuple(f"decoder{i}" for i in range(len(self.hidden_sizes)))


# The size of MNIST, and that of the preset `vae_digits` (1,797 images of 8 x 8) in whole batches.
PROBLEMS = {
    "mnist": Problem(),
    "digits": Problem(
        event_size=64, hidden_sizes=(256, 256), latent_size=8, num_examples=1_792, epochs_per_block=40
    ),
}


def layer_sizes(problem: Problem) -> dict[str, tuple[int, int]]:
    """Inputs and outputs of every layer."""
    up = (problem.event_size, *problem.hidden_sizes)
    down = (problem.latent_size, *reversed(problem.hidden_sizes))
    return {
        **dict(zip(problem.encoder_layers, itertools.pairwise(up), strict=True)),
        "loc": (up[-1], problem.latent_size),
        "raw_scale": (up[-1], problem.latent_size),
        **dict(zip(problem.decoder_layers, itertools.pairwise(down), strict=True)),
        "logits": (down[-1], problem.event_size),
    }


def initial_weights(problem: Problem) -> Weights:
    """Random weights, the same for all implementations."""
    generator = np.random.default_rng(1)
    weights = {}
    for name, (inputs, outputs) in layer_sizes(problem).items():
        scale = np.sqrt(2.0 / (inputs + outputs))
        weights[f"{name}.weight"] = generator.normal(0.0, scale, (inputs, outputs)).astype(np.float32)
        weights[f"{name}.bias"] = generator.normal(0.0, 0.1, outputs).astype(np.float32)
    return weights


def narrow(weights: Weights, raw_scale: float | None = None) -> Weights:
    """The same with posteriors so narrow that the loss does not depend on the noise.

    Args:
        weights: any weights of the problem.
        raw_scale: what gives `NARROW_SCALE`; None: as the problem defines the scale.
    """
    raw_scale = np.log(np.expm1(NARROW_SCALE - MIN_SCALE)) if raw_scale is None else raw_scale
    return {
        **weights,
        "raw_scale.weight": np.zeros_like(weights["raw_scale.weight"]),
        "raw_scale.bias": np.full_like(weights["raw_scale.bias"], raw_scale),
    }


def make_data(problem: Problem) -> np.ndarray:
    """Binary examples with structure: a linear decoder of ten latents. Shape `(num_examples, event_size)`."""
    generator = np.random.default_rng(2)
    latents = generator.normal(size=(problem.num_examples, 10))
    logits = latents @ generator.normal(size=(10, problem.event_size))
    uniform = generator.uniform(size=logits.shape)
    return (uniform < 1.0 / (1.0 + np.exp(-logits))).astype(np.float32)


def softplus_scale(raw_scale: np.ndarray) -> np.ndarray:
    """Scale of the posterior, as the problem defines it."""
    return np.logaddexp(0.0, raw_scale) + MIN_SCALE


def reference_losses(
    weights: Weights,
    x: np.ndarray,
    problem: Problem,
    to_scale: Callable[[np.ndarray], np.ndarray] = softplus_scale,
) -> dict[str, float]:
    """KL, and the loss at the posteriors' means, of a batch: what implementations must give, in float64."""
    w = {name: value.astype(np.float64) for name, value in weights.items()}

    def linear(name: str, inputs: np.ndarray) -> np.ndarray:
        return inputs @ w[f"{name}.weight"] + w[f"{name}.bias"]

    h = x.astype(np.float64)
    for name in problem.encoder_layers:
        h = np.maximum(linear(name, h), 0.0)
    loc, scale = linear("loc", h), to_scale(linear("raw_scale", h))
    h = loc
    for name in problem.decoder_layers:
        h = np.maximum(linear(name, h), 0.0)
    logits = linear("logits", h)
    kl = 0.5 * np.sum(scale**2 + loc**2 - 1.0 - 2.0 * np.log(scale), axis=1).mean()
    nll = np.sum(np.logaddexp(0.0, logits) - x * logits, axis=1).mean()
    return {"kl": float(kl), "loss": float(nll + kl)}


def save_problem(folder: Path, problem: Problem) -> None:
    """Everything that a worker needs."""
    (folder / "problem.json").write_text(json.dumps(dataclasses.asdict(problem)))
    np.savez(folder / "weights.npz", **initial_weights(problem))
    np.save(folder / "data.npy", make_data(problem))


@dataclasses.dataclass(frozen=True)
class Given:
    """What a worker is given."""

    problem: Problem
    weights: Weights
    data: np.ndarray

    @property
    def batch(self) -> np.ndarray:
        """The batch on which losses are compared."""
        return self.data[: self.problem.batch_size]


def load_problem(folder: Path) -> Given:
    """What `save_problem` wrote."""
    fields = json.loads((folder / "problem.json").read_text())
    problem = Problem(**{**fields, "hidden_sizes": tuple(fields["hidden_sizes"])})
    return Given(
        problem,
        dict(np.load(folder / "weights.npz")),
        np.load(folder / "data.npy"),
    )
