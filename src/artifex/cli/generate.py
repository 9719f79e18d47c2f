"""`artifex generate`: new examples from the model of a run folder."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from artifex.cli.messages import UsageError, say
from artifex.cli.options import SamplingOptions, Switch, check_counts, parse
from artifex.utils.files import check_can_write

_FORMATS = (".png", ".npz")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(SamplingOptions):
    """Options of `artifex generate`.

    Attributes:
        run_dir: the run folder, as `artifex train` left it.
        out: where the examples go. `.png`: one picture of all; `.npz`: the array `x` in the form of the data (for
            images 8-bit levels, channels first), and `condition` where there is one.
        n: how many.
        seed: randomness; example i of a seed is the same whatever N.
        condition: class labels, used in turn (one label: for all), or an .npy file of conditions. Without it, a
            conditional model makes every class in turn.
        mean: the mean of each example's likelihood, as in samples.png, instead of a draw from it.
        chunk_size: at most so many examples at once, to save memory.
        step: use the checkpoint of this step, not the newest.
    """

    run_dir: Annotated[Path, tyro.conf.arg(name="run-dir"), tyro.conf.Positional]
    out: Path
    n: int = 64
    seed: int = 0
    condition: tuple[str, ...] = ()
    mean: Switch = False
    chunk_size: int | None = None
    step: int | None = None


def run(arguments: list[str]) -> int:
    """Run `artifex generate`."""
    options = parse(
        Options,
        arguments,
        command="generate",
        text="New examples from the model of a run folder. The same seed gives the same examples.",
    )
    if options.out.suffix not in _FORMATS:
        raise UsageError(f"--out must end in {' or '.join(_FORMATS)}; got {options.out}")
    check_counts({"--n": options.n, "--chunk-size": options.chunk_size, "--steps": options.steps})
    try:
        check_can_write(options.out)
    except OSError as error:
        raise UsageError(f"{error} Choose another --out.") from None
    from artifex.cli.generation import generate  # loads JAX

    generate(options)
    say(f"{options.n} examples from {options.run_dir}")
    print(options.out)
    return 0
