"""The one-layer network of the IWAE paper on binarized MNIST, trained for a given time, beside the published numbers.

    python -m benchmarks.iwae_mnist --minutes 20 --k 1 --k 50

Protocol of Burda et al. 2016 (arXiv:1509.00519) and its published code: pixels drawn anew each time an image is
seen, with its grey value as probability; 59,600 images for training, the last 400 of the training set held out;
784-200-200-50 and back, tanh; test images drawn once; negative log-likelihood by 5,000 importance samples.
Deviations: batch 100 in place of 20, Adam with a cosine schedule over the time given, an average of the parameters.
"""

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any

import jax
import numpy as np

import artifex as ax
from artifex.generative_models.core.configuration import (
    AdamConfig,
    ElboConfig,
    Experiment,
    ImportanceWeightedConfig,
    TrainingConfig,
    VAEConfig,
    WarmupCosineScheduleConfig,
)
from artifex.generative_models.core.trainable import count_parameters
from artifex.generative_models.training import Reached
from benchmarks.harness import RESULTS, machine, write_result

PUBLISHED = {1: 86.76, 5: 85.54, 50: 84.78}  # table 1 of the paper, one stochastic layer
CALIBRATION_STEPS = 600
CURVE_SAMPLES = 100


class Curve:
    """Evaluates the bound now and then, and keeps the clock of training apart from that of evaluation."""

    def __init__(self, every: int, x: jax.Array, key: jax.Array):
        self.every = every
        self.points: list[dict[str, float]] = []
        self.paused = 0.0
        self._x, self._key = x, key
        self._start = time.monotonic()

    def seconds(self) -> float:
        """Seconds of training so far, compilation included."""
        return time.monotonic() - self._start - self.paused

    def __call__(self, run: Any, event: Any) -> None:
        """Evaluate when asked."""
        if not isinstance(event, Reached):
            return
        model = run.model
        jax.block_until_ready(jax.tree.leaves(model)[0])
        begin, seconds = time.monotonic(), self.seconds()
        nll = -np.asarray(model.importance_weighted_bound(self._x, key=self._key, num_samples=CURVE_SAMPLES))
        self.points.append(
            {"step": event.step, "seconds": round(seconds, 1), "nll": round(float(nll.mean()), 3)}
        )
        print(self.points[-1], flush=True)
        self.paused += time.monotonic() - begin


def training(num_steps: int, batch_size: int, learning_rate: float, log_every: int) -> TrainingConfig:
    """The recipe, stretched over so many steps."""
    return TrainingConfig(
        num_steps=num_steps,
        batch_size=batch_size,
        optimizer=AdamConfig(learning_rate=learning_rate, eps=1e-4),
        schedule=WarmupCosineScheduleConfig(warmup_fraction=200 / num_steps, end=0.03),
        ema_decay=0.9995,
        log_every=log_every,
        steps_per_dispatch=100,
    )


def run(k: int, minutes: float, arguments: argparse.Namespace) -> dict[str, Any]:
    """Train for a time with k samples, beside the published number."""
    preset: Experiment = ax.zoo.get("vae_mnist")
    objective = (
        ElboConfig() if k == 1 else ImportanceWeightedConfig(num_samples=k, estimator=arguments.estimator)
    )
    measured, _ = train_and_score(preset, preset.model.replace(objective=objective), minutes, arguments)
    nll = measured["nll_5000"]
    return {
        "k": k,
        "published": PUBLISHED.get(k),
        "difference": round(nll - PUBLISHED[k], 3) if k in PUBLISHED else None,
        "objective": objective.kind if k == 1 else f"{objective.kind} ({arguments.estimator})",
        **measured,
    }


def train_and_score(
    preset: Experiment, config: VAEConfig, minutes: float, arguments: argparse.Namespace
) -> tuple[dict[str, Any], np.ndarray]:
    """Train a model for a time on the data of a preset; what was measured, and the bound of each test image."""
    data = ax.load_data(preset.data)
    model = ax.create_model(config, key=jax.random.key(0))
    test = data.test.batch(np.arange(arguments.test_images), key=jax.random.key(7))["x"]

    begin = time.monotonic()
    recipe = training(
        CALIBRATION_STEPS, arguments.batch_size, arguments.learning_rate, CALIBRATION_STEPS // 2
    )
    calibration = ax.fit(model, data.train, recipe, key=jax.random.key(1), progress=False)
    first, last = calibration.records
    rate = (last["step"] - first["step"]) / (last["time"] - first["time"])
    # What is left after the calibration, a compilation, and 3 % for a slower stretch.
    left = 0.97 * (60 * minutes - (time.monotonic() - begin) - first["time"])
    num_steps = max(1000, int(left * rate / 1000) * 1000)
    print(f"{rate:.0f} steps/s, so {num_steps} steps", flush=True)

    curve = Curve(num_steps // 20, test, jax.random.key(8))
    started = time.monotonic()
    result = ax.fit(
        model,
        data.train,
        training(num_steps, arguments.batch_size, arguments.learning_rate, num_steps // 20),
        key=jax.random.key(1),
        callbacks=[curve],
        progress=False,
    )
    seconds = time.monotonic() - started - curve.paused
    bounds = np.concatenate(
        [
            np.asarray(
                result.model.importance_weighted_bound(
                    test[i : i + 50], key=jax.random.fold_in(jax.random.key(9), i), num_samples=5000
                )
            )
            for i in range(0, len(test), 50)
        ]
    )
    measured = {
        "parameters": count_parameters(model),
        "nll_5000": round(float(-bounds.mean()), 3),
        "standard_error": round(float(bounds.std(ddof=1) / math.sqrt(len(bounds))), 3),
        "test_images": len(bounds),
        "training_minutes": round(seconds / 60, 2),
        "steps": num_steps,
        "epochs": round(num_steps * arguments.batch_size / len(data.train), 1),
        "curve_of_100_sample_bound": curve.points,
    }
    return measured, bounds


def picture(results: list[dict[str, Any]], path: Path) -> None:
    """The distance from the published number by training time."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    for result in results:
        points = [p for p in result["curve_of_100_sample_bound"] if p["seconds"] > 0]
        gaps = [p["nll"] - result["published"] for p in points]
        (line,) = axes.plot(
            [p["seconds"] / 60 for p in points], gaps, ".-", label=f"k={result['k']}, 100 samples"
        )
        axes.plot(
            result["training_minutes"],
            result["difference"],
            "o",
            color=line.get_color(),
            label=f"k={result['k']}, 5,000 samples",
        )
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set(
        xscale="log",
        yscale="symlog",
        xlabel="minutes of training",
        ylabel="test NLL above the published one (nats)",
        title="IWAE network on binarized MNIST",
    )
    axes.legend()
    figure.savefig(path, dpi=120)


def main() -> None:
    """Train, evaluate, write `benchmarks/results/iwae_mnist.json` and `.png`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="of training, for each k")
    parser.add_argument(
        "--k", type=int, action="append", help="importance samples in training; may be repeated"
    )
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--estimator", choices=["iwae", "dreg"], default="dreg")
    parser.add_argument("--test-images", type=int, default=1000)
    parser.add_argument("--name", default="iwae_mnist", help="of the result files")
    arguments = parser.parse_args()
    conditions = machine()
    results = []
    for k in arguments.k or [1, 50]:
        results.append(run(k, arguments.minutes, arguments))
        print(
            json.dumps({n: v for n, v in results[-1].items() if n != "curve_of_100_sample_bound"}), flush=True
        )
        write_result(
            arguments.name,
            {
                "machine": conditions,
                "jax": jax.__version__,
                "artifex": ax.__version__,
                "device": jax.devices()[0].device_kind,
                "batch_size": arguments.batch_size,
                "learning_rate": arguments.learning_rate,
                "results": results,
            },
        )
        picture(results, RESULTS / f"{arguments.name}.png")


if __name__ == "__main__":
    main()
