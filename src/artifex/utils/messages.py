"""Texts of errors: requirement, what was got, and the fix."""

import difflib
from collections.abc import Iterable


def nearest_name(name: str, options: Iterable[str]) -> str | None:
    """The option that resembles `name` most, or None when none does."""
    options = list(options)
    by_lower = {option.lower(): option for option in options}
    close = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.5)
    return by_lower[close[0]] if close else None


def unknown_name(what: str, name: object, options: Iterable[str]) -> str:
    """Message for a name that is not among `options`, with the nearest one.

    >>> unknown_name("preset", "vae_digit", ["vae_digits", "vae_mnist"])
    "unknown preset 'vae_digit'. Did you mean 'vae_digits'? Known: vae_digits, vae_mnist."
    """
    options = sorted(options)
    nearest = nearest_name(str(name), options)
    hint = f" Did you mean {nearest!r}?" if nearest else ""
    known = ", ".join(options) if options else "none"
    return f"unknown {what} {str(name)!r}.{hint} Known: {known}."
