"""The one-layer network of the IWAE paper on binarized MNIST, with a normal posterior and with a flow, in equal time.

    python -m benchmarks.iaf_mnist --minutes 20

Data, networks, optimizer, schedule and score are those of `benchmarks.iwae_mnist` (Burda et al. 2016, arXiv:1509.00519)
at one sample. Only the posterior differs: independent normal latents, or these through inverse autoregressive flow
(Kingma et al. 2016, arXiv:1606.04934), whose networks cost time, so that it makes fewer steps. Its compilation is part
of its time too.
"""

import argparse
import json
import math
from typing import Any

import jax
import numpy as np

import artifex as ax
from artifex.generative_models.core.configuration import (
    ChainConfig,
    Experiment,
    FlowPosteriorConfig,
    MaskedAutoregressiveConfig,
    NormalPosteriorConfig,
    PosteriorConfig,
    ReverseConfig,
    ScannedConfig,
)
from benchmarks.harness import machine, write_result
from benchmarks.iwae_mnist import train_and_score


def posteriors(arguments: argparse.Namespace) -> dict[str, PosteriorConfig]:
    """The two that are compared."""
    step = MaskedAutoregressiveConfig(
        hidden_size=arguments.hidden_size, num_layers=arguments.hidden_layers, activation="tanh"
    )
    return {
        "normal": NormalPosteriorConfig(),
        "iaf": FlowPosteriorConfig(
            context_size=arguments.context_size,
            bijection=ScannedConfig(
                layer=ChainConfig(layers=(step, ReverseConfig())), num_layers=arguments.flow_steps
            ),
        ),
    }


def run(
    name: str, posterior: PosteriorConfig, arguments: argparse.Namespace
) -> tuple[dict[str, Any], np.ndarray]:
    """Train with a posterior for the given time, evaluate on test images."""
    preset: Experiment = ax.zoo.get("vae_mnist")
    config = preset.model.replace(posterior=posterior)
    measured, bounds = train_and_score(preset, config, arguments.minutes, arguments)
    return {"posterior": name, **measured}, bounds


def main() -> None:
    """Train both, evaluate, write `benchmarks/results/iaf_mnist.json`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0, help="of training, for each posterior")
    parser.add_argument("--flow-steps", type=int, default=2, help="autoregressive layers of the flow")
    parser.add_argument("--hidden-size", type=int, default=200, help="width of the network in each")
    parser.add_argument("--hidden-layers", type=int, default=1, help="hidden layers of that network")
    parser.add_argument("--context-size", type=int, default=100, help="numbers that it gets from the encoder")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--test-images", type=int, default=1000)
    parser.add_argument("--name", default="iaf_mnist", help="of the result file")
    arguments = parser.parse_args()
    conditions = machine()
    results, bounds = [], []
    for name, posterior in posteriors(arguments).items():
        measured, bound = run(name, posterior, arguments)
        results.append(measured)
        bounds.append(bound)
        print(
            json.dumps({n: v for n, v in results[-1].items() if n != "curve_of_100_sample_bound"}), flush=True
        )
    gains = bounds[1] - bounds[0]  # image by image
    write_result(
        arguments.name,
        {
            "machine": conditions,
            "jax": jax.__version__,
            "artifex": ax.__version__,
            "device": jax.devices()[0].device_kind,
            **{name: value for name, value in vars(arguments).items() if name != "name"},
            "gain_of_iaf_in_nats": round(float(gains.mean()), 3),
            "standard_error_of_gain": round(float(gains.std(ddof=1) / math.sqrt(len(gains))), 3),
            "results": results,
        },
    )


if __name__ == "__main__":
    main()
