"""What the command line says to people; results alone go to stdout."""

import sys

# Their messages are written for users, or come from the system with the file's name.
_SPEAKS_FOR_ITSELF = (ValueError, TypeError, OSError, LookupError, ImportError, ArithmeticError, RuntimeError)


class UsageError(Exception):
    """The command line was called in a wrong way; the message says what is right."""


def say(text: str) -> None:
    """One message on stderr."""
    print(f"artifex: {text}", file=sys.stderr, flush=True)


def describe(error: Exception) -> str:
    """One paragraph about an error that ends the program."""
    text = " ".join(f"{error} {notes(error)}".split())
    if isinstance(error, OSError) and error.filename is not None:
        text = f"{error.filename}: {error.strerror}"  # without the number of the error
    plain = isinstance(error, _SPEAKS_FOR_ITSELF) and not isinstance(error, KeyError)
    if not plain or not text:
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    return f"{text} (Traceback: add --debug.)"


def notes(error: BaseException) -> str:
    """What was added to an error on its way, each note with a space after it."""
    return "".join(f"{note} " for note in getattr(error, "__notes__", ()))
