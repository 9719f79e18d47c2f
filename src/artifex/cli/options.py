"""Options of a command, parsed by tyro from a dataclass: typed flags, help from its `Attributes` section."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import TypeVar

import tyro

from artifex.cli.messages import UsageError

OptionsT = TypeVar("OptionsT")

# A flag that can only be switched on; its field is False without it.
Switch = tyro.conf.FlagCreatePairsOff[bool]


@dataclasses.dataclass(frozen=True, kw_only=True)
class SamplingOptions:
    """How a diffusion model makes examples, in place of what its config says.

    Attributes:
        sampler: a sampler's name, such as dpmpp_2m, or its config as YAML, such as "{kind: ddim, eta: 0.5}". For
            diffusion models.
        steps: in how many steps it goes from noise to data.
        spacing: where these lie: a kind, such as karras, or a config as YAML.
        guidance: scale of its guidance: 0 unconditional, 1 conditional, more: stronger.
    """

    sampler: str | None = None
    steps: int | None = None
    spacing: str | None = None
    guidance: float | None = None


def check_counts(counts: Mapping[str, int | None]) -> None:
    """Raise unless each number that was given, by its flag, is at least 1."""
    for flag, count in counts.items():
        if count is not None and count < 1:
            raise UsageError(f"{flag} must be at least 1; got {count}")


def parse(
    options: type[OptionsT],
    arguments: Sequence[str],
    *,
    command: str,
    text: str,
    default: OptionsT | None = None,
) -> OptionsT:
    """Options from arguments; a wrong one ends the program with code 2 and a suggestion.

    A field that admits several kinds of config has the flags of the kind that `default` holds.

    Args:
        options: dataclass of the options.
        arguments: what stands after the command.
        command: as the user wrote it, for the help.
        text: what the help says above the options.
        default: values that hold without flags; None: those of the class.
    """
    return tyro.cli(
        options,
        args=list(arguments),
        prog=f"artifex {command}",
        description=text,
        default=tyro.MISSING_NONPROP if default is None else default,
        config=(tyro.conf.AvoidSubcommands,),
    )
