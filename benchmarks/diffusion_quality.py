"""Samples of a trained diffusion model by sampler and number of steps: distance to the data, and classes read.

    artifex train ddpm_digits --run-dir RUN
    python -m benchmarks.diffusion_quality RUN

A classifier is trained on the run's training pictures. Distances are Frechet distances in its features, from as many
samples as there are training pictures, to these; held-out pictures stand beside them as what could be reached. Results
go to `benchmarks/results/diffusion_quality_<name of the run folder>.json` and `.png`.
"""

import argparse
import importlib.metadata
import sys
from pathlib import Path
from typing import Any

import jax
import numpy as np

from artifex.generative_models.core.evaluation import estimate_mean, frechet_distance
from artifex.generative_models.modalities import load_data
from artifex.generative_models.modalities.image import train_image_classifier
from artifex.generative_models.zoo import load_run
from artifex.visualization import quality_curves, save_figure
from benchmarks.harness import RESULTS, machine, write_result

SAMPLERS = {
    "ddpm": (10, 25, 50, 250),
    **dict.fromkeys(("ddim", "dpmpp_2m", "unipc", "heun"), (5, 10, 25, 50)),
}
CHUNK = 500


def main(arguments: list[str] | None = None) -> int:
    """Sample, measure, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.diffusion_quality", description=__doc__.split("\n")[0]
    )
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--guidance", type=float, help="scale; None: the config's")
    parser.add_argument("--draws", type=int, default=3, help="independent sets of samples")
    parser.add_argument("--samplers", nargs="*", default=list(SAMPLERS), choices=list(SAMPLERS))
    options = parser.parse_args(arguments)
    conditions = machine()
    experiment, model = load_run(options.run_dir)
    data = load_data(experiment.data.replace(conditional=True))
    classifier = train_image_classifier(data.train, key=jax.random.key(0))
    real = data.train.rows(np.arange(len(data.train)))
    held_out = data.test.rows(np.arange(len(data.test)))
    wanted = classifier.features(real["x"])
    accuracy = classifier.agreement(held_out["x"], held_out["condition"])
    print(f"classifier: {accuracy} of held-out pictures read right", flush=True)
    labels = real["condition"]
    is_conditional = experiment.model.num_classes is not None
    curves: dict[str, list[dict[str, Any]]] = {}
    for name in options.samplers:
        for num_steps in SAMPLERS[name]:
            distances, agreements, evaluations = [], [], 0
            for draw in range(options.draws):
                sampled = model.sample(
                    len(labels),
                    key=jax.random.key(1000 + draw),
                    condition=labels if is_conditional else None,
                    sampler=name,
                    num_steps=num_steps,
                    guidance_scale=options.guidance,
                    chunk_size=min(CHUNK, len(labels)),
                )
                made = np.asarray(data.representation.decode(sampled.x))
                evaluations = int(sampled.num_evaluations[0])
                distances.append(frechet_distance(wanted, classifier.features(made)))
                agreements.append(classifier.agreement(made, labels).value)
            distance = estimate_mean(np.array(distances))
            curves.setdefault(name, []).append(
                {
                    "num_steps": num_steps,
                    "num_evaluations": evaluations,
                    "frechet_distance": round(distance.value, 4),
                    "standard_error": None
                    if distance.standard_error is None
                    else round(distance.standard_error, 4),
                    "class_agreement": round(float(np.mean(agreements)), 4) if is_conditional else None,
                }
            )
            print(name, curves[name][-1], flush=True)
    result = {
        "machine": conditions,
        "versions": {name: importlib.metadata.version(name) for name in ("artifex", "jax")},
        "experiment": options.run_dir.name,
        "guidance_scale": experiment.model.guidance_scale if options.guidance is None else options.guidance,
        "samples": {"number": len(labels), "draws": options.draws},
        "classifier_accuracy": accuracy.value,
        "held_out_distance": round(frechet_distance(wanted, classifier.features(held_out["x"])), 4),
        "held_out_pictures": len(held_out["x"]),
        "curves": curves,
    }
    name = f"diffusion_quality_{options.run_dir.name}"
    write_result(name, result)
    records = {
        sampler: [(p["num_evaluations"], p["frechet_distance"], p["standard_error"] or 0.0) for p in points]
        for sampler, points in curves.items()
    }
    save_figure(RESULTS / f"{name}.png", quality_curves(records, measure="Frechet distance"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
