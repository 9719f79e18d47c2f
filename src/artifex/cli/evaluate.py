"""`artifex evaluate`: measure the model of a run folder."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Literal

import tyro

from artifex.cli.messages import UsageError
from artifex.cli.options import SamplingOptions, Switch, check_counts, parse


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(SamplingOptions):
    """Options of `artifex evaluate`.

    Attributes:
        run_dir: the run folder, as `artifex train` left it.
        split: which part of the data.
        metrics: names of metrics, such as bits_per_dimension. Without it, all that the model can give and that do
            not take long.
        num_importance_samples: importance samples of the bound; more come nearer to the likelihood. None: 64.
        batch_size: examples at once. None: 256.
        max_examples: measure so many examples only, chosen at random. None: all.
        seed: randomness of bounds and representations.
        step: use the checkpoint of this step, not the newest.
        num_samples: judge so many new examples too, by a classifier that is trained on the run's training data first:
            their Frechet distance to the split in its features, and whether it reads the classes asked for. For
            labelled pictures.
        json: print JSON instead of lines for people.
    """

    run_dir: Annotated[Path, tyro.conf.arg(name="run-dir"), tyro.conf.Positional]
    split: Literal["test", "validation", "train"] = "test"
    metrics: tuple[str, ...] = ()
    num_importance_samples: int | None = None
    batch_size: int | None = None
    max_examples: int | None = None
    seed: int = 0
    step: int | None = None
    num_samples: int | None = None
    json: Switch = False


def run(arguments: list[str]) -> int:
    """Run `artifex evaluate`."""
    options = parse(
        Options,
        arguments,
        command="evaluate",
        text="Measure the model of a run folder on data. Values stand with their standard errors.",
    )
    given = ("num_importance_samples", "batch_size", "max_examples", "num_samples", "steps")
    check_counts({"--" + name.replace("_", "-"): getattr(options, name) for name in given})
    if options.num_samples is None and (options.sampler or options.steps or options.spacing):
        raise UsageError("--sampler, --steps and --spacing say how samples are made: give --num-samples too")
    from artifex.cli.measuring import measure  # loads JAX

    evaluation = measure(options)
    if options.json:
        print(json.dumps(evaluation.to_mapping(), indent=2))
        return 0
    from artifex.cli.report import evaluation_lines

    print("\n".join(evaluation_lines(evaluation)))
    return 0
