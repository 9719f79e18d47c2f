"""The problem that all implementations solve: a rational-quadratic spline flow on vectors, trained with Adam.

    train      a step on a batch: mean of -log p(x), gradient, Adam
    log_prob   of a batch
    sample     as many new vectors, one compiled call

Only NumPy: every environment has it.
"""

import dataclasses

import numpy as np


@dataclasses.dataclass(frozen=True)
class Problem:
    """Sizes and settings.

    Attributes:
        size: entries of a vector.
        num_layers: layers of the flow, with an order of the entries reversed or permuted between them.
        hidden_size: width of the network in each.
        num_hidden_layers: hidden layers of that network.
        num_bins: of each spline.
        bound: where splines end.
        batch_size: vectors in a batch.
        num_batches: batches in an epoch of training.
        learning_rate: of Adam.
        calls_per_block: steps or calls in one timed block.
    """

    size: int = 8
    num_layers: int = 8
    hidden_size: int = 64
    num_hidden_layers: int = 2
    num_bins: int = 8
    bound: float = 4.0
    batch_size: int = 512
    num_batches: int = 16
    learning_rate: float = 1e-3
    calls_per_block: int = 20


FORMS = ("coupling", "autoregressive")
TASKS = ("train", "log_prob", "sample")


def make_data(problem: Problem) -> np.ndarray:
    """Vectors with dependent entries, float32, shape `(num_batches * batch_size, size)`."""
    generator = np.random.default_rng(0)
    x = generator.normal(size=(problem.num_batches * problem.batch_size, problem.size))
    return (x + 0.5 * np.sin(2 * np.roll(x, 1, axis=1))).astype(np.float32)
