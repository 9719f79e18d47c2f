"""The `artifex` command: a thin layer over the same functions that notebooks call."""

from artifex.cli.program import main
