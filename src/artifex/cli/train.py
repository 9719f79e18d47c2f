"""`artifex train`: run an experiment and leave a run folder."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from artifex.cli.messages import UsageError
from artifex.cli.options import Switch, parse
from artifex.cli.runs import fresh_run_dir, newest_run_dir
from artifex.configs import preset_path
from artifex.generative_models.core.configuration import Experiment, load_yaml
from artifex.generative_models.zoo.folders import (
    AnotherConfigError,
    RunExistsError,
    check_run_dir,
    holds_run,
    load_experiment,
)

DEFAULT = "vae_digits"

_TEXT = (
    "Train a model, measure it on held-out data, and write a run folder: config, metrics, checkpoints, pictures.\n\n"
    "{subject}, and each flag below changes one field of it. Other kinds of parts, such as another optimizer, are "
    "chosen in a YAML file: artifex config show {name} > my.yaml"
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Options of `artifex train`.

    Attributes:
        experiment: what to run.
        run_dir: the run folder. Without it: runs/NAME, or runs/NAME-2 and so on where that exists.
        resume: go on with the run in the folder; without --run-dir, with the newest run of this name.
        overwrite: remove the run in the folder first.
    """

    experiment: Annotated[Experiment, tyro.conf.arg(name="")]
    run_dir: Path | None = None
    resume: Switch = False
    overwrite: Switch = False


@dataclasses.dataclass(frozen=True)
class Target:
    """What stands after `artifex train`.

    Attributes:
        name: of the run folder, if none is given.
        experiment: before flags change it.
        run_dir: the run folder, where that itself was named.
    """

    name: str
    experiment: Experiment
    run_dir: Path | None = None


def run(arguments: list[str]) -> int:
    """Run `artifex train`."""
    if arguments and arguments[0] in ("-h", "--help"):
        return _help()
    if not arguments or arguments[0].startswith("-"):
        got = f"got {arguments[0]} in its place" if arguments else "got none"
        raise UsageError(
            f"the first argument names a preset, a YAML file or a run folder; {got}. "
            f"For example: artifex train {DEFAULT}. All presets: artifex config list"
        )
    target = find_target(arguments[0])
    options = parse(
        Options,
        arguments[1:],
        command=f"train {arguments[0]}",
        text=_TEXT.format(subject=f"The experiment is {arguments[0]}", name=DEFAULT),
        default=Options(experiment=target.experiment, run_dir=target.run_dir),
    )
    if options.resume and options.overwrite:
        raise UsageError("give --resume or --overwrite, not both")
    run_dir = options.run_dir or _choose_run_dir(target.name, resume=options.resume)
    _check_run_dir(run_dir, options)
    from artifex.cli.training import train  # loads JAX

    return train(options.experiment, run_dir, resume=options.resume, overwrite=options.overwrite)


def _check_run_dir(run_dir: Path, options: Options) -> None:
    """What `run_experiment` checks too, here before JAX is loaded, and in terms of flags."""
    try:
        check_run_dir(run_dir, options.experiment, resume=options.resume, overwrite=options.overwrite)
    except RunExistsError as error:
        if not error.is_run:
            raise UsageError(f"{run_dir} is not empty and holds no run: choose another --run-dir") from None
        raise UsageError(
            f"{run_dir} holds a run already. Go on with it by --resume, replace it by --overwrite, or choose "
            "another --run-dir."
        ) from None
    except (NotADirectoryError, PermissionError) as error:
        raise UsageError(f"{error} Choose another --run-dir.") from None
    except AnotherConfigError as error:
        raise UsageError(
            f"{error}. Go on with that run as it was by `artifex train {run_dir} --resume`, or choose another "
            "--run-dir."
        ) from None


def find_target(text: str) -> Target:
    """The experiment that a preset's name, a YAML file or a run folder stands for.

    Raises:
        UsageError: no preset has this name; the message holds the nearest.
    """
    path = Path(text)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise UsageError(
                f"no file {path}. To make one from a preset: artifex config show {DEFAULT} > {path.name}"
            )
        return Target(path.stem, load_yaml(Experiment, path))
    if holds_run(path):
        return Target(path.name, load_experiment(path), path)
    try:
        return Target(text, load_yaml(Experiment, preset_path(text)))
    except LookupError as error:
        if path.name != text:
            raise UsageError(f"{text} is neither a run folder nor a YAML file") from None
        raise UsageError(str(error)) from None


def _choose_run_dir(name: str, *, resume: bool) -> Path:
    if resume and (found := newest_run_dir(name)) is not None:
        return found
    return fresh_run_dir(name)


def _help() -> int:
    """Without a name there is no experiment whose flags could be shown, so those of the default are."""
    parse(
        Options,
        ["--help"],
        command="train NAME_OR_YAML",
        text=_TEXT.format(
            subject=f"NAME_OR_YAML is a preset (artifex config list), a YAML file, or a run folder to resume. "
            f"Shown here is {DEFAULT}",
            name=DEFAULT,
        ),
        default=Options(experiment=load_yaml(Experiment, preset_path(DEFAULT))),
    )
    return 0
