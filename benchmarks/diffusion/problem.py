"""The problem that all implementations solve: a DDPM with the UNet of the `diffusers` package on grey pictures.

    training    mean |network(sqrt(abar_t) x + sqrt(1 - abar_t) noise, t) - noise|^2, t uniform, linear betas, Adam
    sampling    DDIM, eta 0, in 50 steps

Only NumPy: every environment has it. The weights are a folder of `save_pretrained`, which `torch_unet` makes.
"""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

NUM_LEVELS = 1000


@dataclasses.dataclass(frozen=True)
class Problem:
    """Sizes and settings.

    Attributes:
        side: height and width of a picture, with one channel.
        channels: of the UNet's levels, each half the size of the one before.
        num_blocks: residual blocks at each level.
        batch_size: pictures in a training step.
        num_examples: pictures in memory.
        learning_rate: of Adam.
        steps_per_block: training steps in one timed block, as many as `fit` makes in one call by default.
        num_samples: pictures made by one call of the sampler, the timed block of sampling.
        num_sampling_steps: of DDIM.
    """

    side: int = 28
    channels: tuple[int, ...] = (32, 64, 64)
    num_blocks: int = 2
    batch_size: int = 32
    num_examples: int = 640
    learning_rate: float = 1e-3
    steps_per_block: int = 16
    num_samples: int = 16
    num_sampling_steps: int = 50

    @property
    def unet_settings(self) -> dict[str, Any]:
        """Arguments of `diffusers.UNet2DModel`: attention at the smallest size, modulation by scale and shift."""
        plain = len(self.channels) - 1
        return {
            "sample_size": self.side,
            "in_channels": 1,
            "out_channels": 1,
            "block_out_channels": self.channels,
            "layers_per_block": self.num_blocks,
            "down_block_types": ("DownBlock2D",) * plain + ("AttnDownBlock2D",),
            "up_block_types": ("AttnUpBlock2D",) + ("UpBlock2D",) * plain,
            "norm_num_groups": 8,
            "attn_norm_num_groups": 8,
            "attention_head_dim": 16,
            "resnet_time_scale_shift": "scale_shift",
        }


PROBLEMS = {
    "mnist": Problem(),
    "digits": Problem(side=8, channels=(32, 64), num_blocks=1, batch_size=128, num_examples=1792),
}
TINY = Problem(
    side=8,
    channels=(8, 8),
    num_blocks=1,
    batch_size=4,
    num_examples=16,
    steps_per_block=4,
    num_samples=2,
    num_sampling_steps=3,
)


@dataclasses.dataclass(frozen=True)
class Given:
    """What a worker is given.

    Attributes:
        problem: its sizes.
        data: pictures in [-1, 1], shape `(num_examples, 1, side, side)`.
        x: noisy pictures on which the networks are compared.
        levels: their levels, integers from 0 to 999.
        unet: folder of the weights, once they are made.
    """

    problem: Problem
    data: np.ndarray
    x: np.ndarray
    levels: np.ndarray
    unet: Path


def save_problem(folder: Path, problem: Problem) -> None:
    """Everything that a worker needs but the weights."""
    (folder / "problem.json").write_text(json.dumps(dataclasses.asdict(problem)))
    generator = np.random.default_rng(0)
    shape = (1, problem.side, problem.side)
    waves = np.sin(np.arange(problem.side) * generator.uniform(0.2, 2.0, (problem.num_examples, 1)))
    data = (waves[:, None, :, None] * waves[:, None, None, ::-1]).astype(np.float32)
    x = generator.normal(size=(problem.num_samples, *shape)).astype(np.float32)
    np.savez(
        folder / "given.npz", data=data, x=x, levels=generator.integers(0, NUM_LEVELS, problem.num_samples)
    )


def load_problem(folder: Path) -> Given:
    """What `save_problem` wrote."""
    fields = json.loads((folder / "problem.json").read_text())
    problem = Problem(**{**fields, "channels": tuple(fields["channels"])})
    return Given(problem, **np.load(folder / "given.npz"), unet=folder / "unet")


def output_summary(y: np.ndarray) -> list[float]:
    """Numbers by which outputs of the network at `x` and `levels` are compared: a few entries, and their size."""
    flat = np.asarray(y, np.float64).reshape(len(y), -1)
    return [*flat[:, 0].tolist(), *flat[:, -1].tolist(), float(np.sqrt(np.mean(flat**2)))]
