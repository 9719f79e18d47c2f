"""The part of `artifex train` that needs JAX."""

from pathlib import Path

import jax

from artifex.cli.messages import notes, say
from artifex.cli.pictures import SamplePictures, write_pictures
from artifex.cli.report import evaluation_lines
from artifex.generative_models.core.configuration import Experiment
from artifex.generative_models.core.device import DeviceManager
from artifex.generative_models.core.trainable import count_parameters
from artifex.generative_models.training import InterruptedTrainingError
from artifex.generative_models.zoo import RunResult, run_experiment
from artifex.generative_models.zoo.folders import holds_run

# Away from the numbers by which `run_experiment` splits the same seed.
_PICTURES = 1 << 20


def train(experiment: Experiment, run_dir: Path, *, resume: bool, overwrite: bool) -> int:
    """Run an experiment with a progress bar, write its pictures, say what was reached and what to do next."""
    key = jax.random.fold_in(jax.random.key(experiment.training.seed), _PICTURES)
    verb = "going on with" if resume and holds_run(run_dir) else "training in"
    say(f"{verb} {run_dir}, on {devices()}")
    try:
        result = run_experiment(
            experiment,
            run_dir,
            resume=resume,
            overwrite=overwrite,
            callbacks=lambda data: [SamplePictures(experiment, data, run_dir, key=key)],
        )
    except InterruptedTrainingError as interrupt:
        say(
            f"{interrupt.signal.name} after step {interrupt.step} of {interrupt.num_steps}; the state is saved. "
            f"{notes(interrupt)}To go on: artifex train {run_dir} --resume"
        )
        return 128 + interrupt.signal
    # What was reached is said first: a model may be measured that makes no finite samples.
    print("\n".join(reached(result, run_dir)), flush=True)
    pictures = write_pictures(result, run_dir, key=key)
    print("\n".join(what_next(result, run_dir, pictures)))
    return 0


def devices() -> str:
    """The devices in words, as in `1 x cpu`."""
    found = DeviceManager()
    return f"{found.num_devices} x {found.kind}"


def reached(result: RunResult, run_dir: Path) -> list[str]:
    """What a run reached, in a few lines."""
    steps = int(result.fit.state.step)
    stopped = "" if result.fit.reason == "finished" else f" ({result.fit.reason})"
    return [
        f"{run_dir}: {steps} steps{stopped}, {count_parameters(result.model):,} parameters",
        *(f"  {line}" for line in evaluation_lines(result.evaluation)),
    ]


def what_next(result: RunResult, run_dir: Path, pictures: list[str]) -> list[str]:
    """The pictures of a run, and the commands to try next."""
    return [
        f"Pictures: {', '.join(str(run_dir / name) for name in pictures)}",
        f"Next: artifex generate {run_dir} --n 64 --out new.png",
        f"      artifex evaluate {run_dir}{_closer(result)}",
    ]


def _closer(result: RunResult) -> str:
    """The flag that brings the bound nearer to the likelihood, for models that have such a bound."""
    has_bound = any(name.startswith("importance_weighted_bound") for name in result.evaluation or ())
    return " --num-importance-samples 500" if has_bound else " --split validation"
