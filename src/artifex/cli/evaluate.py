"""`artifex evaluate`: measure the model of a run folder."""

import dataclasses
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from artifex.cli.messages import say
from artifex.cli.options import Switch, check_counts, parse


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
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
    json: Switch = False


def run(arguments: list[str]) -> int:
    """Run `artifex evaluate`."""
    options = parse(
        Options,
        arguments,
        command="evaluate",
        text="Measure the model of a run folder on data. Values stand with their standard errors.",
    )
    given = ("num_importance_samples", "batch_size", "max_examples")
    check_counts({"--" + name.replace("_", "-"): getattr(options, name) for name in given})
    evaluation = _evaluate(options)
    if options.json:
        print(json.dumps(evaluation.to_mapping(), indent=2))
        return 0
    from artifex.cli.report import evaluation_lines

    print("\n".join(evaluation_lines(evaluation)))
    return 0


def _evaluate(options: Options) -> Any:
    import jax

    from artifex.generative_models.modalities import evaluate, load_data
    from artifex.generative_models.zoo import load_run

    experiment, model = load_run(options.run_dir, step=options.step)
    dataset = getattr(load_data(experiment.data), options.split)
    if dataset is None:
        raise ValueError(f"the run's data have no {options.split} part: choose another with --split")
    given = {
        name: value
        for name in ("num_importance_samples", "batch_size", "max_examples")
        if (value := getattr(options, name)) is not None
    }
    say(f"{options.split} data, {min(len(dataset), options.max_examples or len(dataset))} examples")
    metrics = list(options.metrics) or None
    return evaluate(model, dataset, key=jax.random.key(options.seed), metrics=metrics, **given)
