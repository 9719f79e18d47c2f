"""Entry point: choose the command, run it, turn errors into messages and exit codes.

Nothing heavy is imported here, so that `artifex --help` answers at once; each command loads what it needs.

Exit codes: 0 done; 1 failed; 2 wrong usage; 128 + n stopped by signal n (130: Ctrl-C, 143: SIGTERM).
"""

import importlib
import os
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from typing import Any

from artifex.cli.messages import UsageError, describe, say
from artifex.utils.messages import unknown_name

# What each command does; `artifex.cli.<name>.run(arguments)` does it.
_COMMANDS = {
    "train": "train a preset or a YAML file of an experiment, and write a run folder",
    "generate": "new examples from a run folder, as a picture or as arrays",
    "evaluate": "measure the model of a run folder on held-out data",
    "config": "list, show and validate experiments, or print the JSON schema of configs",
    "info": "versions, devices and folders, for bug reports",
}

_HELP = """usage: artifex COMMAND ...

Generative modelling for JAX.

commands:
{commands}

options:
  -h, --help     show this message; after a command, the help of the command
  --version      show the version
  --debug        show the traceback of an error (also ARTIFEX_DEBUG=1)

To begin: artifex train vae_digits
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        argv: arguments without the program's name; None: those of the process.

    Returns:
        The exit code.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in arguments or os.environ.get("ARTIFEX_DEBUG", "") not in ("", "0")
    arguments = [argument for argument in arguments if argument != "--debug"]
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        try:
            code = _dispatch(arguments)
            sys.stdout.flush()
            return code
        except SystemExit as stop:  # from the parser of options, after its own message
            return stop.code if isinstance(stop.code, int) else 2
        except BrokenPipeError:
            return _closed_pipe()
        except KeyboardInterrupt as interrupt:
            return _interrupted(interrupt)
        except UsageError as error:
            say(f"error: {error}")
            return 2
        except Exception as error:
            if debug:
                traceback.print_exc()
            else:
                say(f"error: {describe(error)}")
            return 1


def _dispatch(arguments: list[str]) -> int:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        print(_help(), end="")
        return 0 if arguments else 2
    name, *rest = arguments
    if name == "--version":
        from importlib.metadata import version

        print(f"artifex {version('artifex')}")
        return 0
    if name.startswith("-"):
        raise UsageError(f"unknown option {name}; the command comes first. See `artifex --help`.")
    if name not in _COMMANDS:
        raise UsageError(unknown_name("command", name, _COMMANDS))
    return importlib.import_module(f"artifex.cli.{name}").run(rest)


def _help() -> str:
    width = max(map(len, _COMMANDS))
    lines = [f"  {name:<{width}}   {summary}" for name, summary in _COMMANDS.items()]
    return _HELP.format(commands="\n".join(lines))


def _closed_pipe() -> int:
    """Nobody reads our output any more, as in `artifex config list | head -1`."""
    # Otherwise the interpreter complains when it flushes the closed pipe at its exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 128 + signal.SIGPIPE


def _interrupted(interrupt: KeyboardInterrupt) -> int:
    """Ctrl-C anywhere, or a signal that training has answered by saving its state."""
    received = getattr(interrupt, "signal", signal.SIGINT)
    say(str(interrupt) or "interrupted")
    return 128 + received


def _show_warning(message: Warning | str, category: type[Warning], *place: Any, **options: Any) -> None:
    say(f"warning: {message}")
