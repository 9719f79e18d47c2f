"""Sessions: `nox -l` lists them, `nox -s lint` runs one. Each has an environment of its own."""

import shutil
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv|venv"
nox.options.sessions = ["lint", "types", "tests"]


@nox.session(python=["3.11", "3.13"])
def tests(session: nox.Session) -> None:
    """The suite, two processes wide."""
    session.install(".[test]")
    session.run("pytest", "-n", "2", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """The tests that take longer than the suite allows."""
    session.install(".[test]")
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Format, style and the direction of imports; changes nothing."""
    session.install("-e", ".[dev]")
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    session.run("lint-imports")


@nox.session
def types(session: nox.Session) -> None:
    """Static types of `src`."""
    session.install("-e", ".[dev]")
    session.run("pyright")


@nox.session
def notebooks(session: nox.Session) -> None:
    """Run every notebook from its first cell to its last."""
    session.install(".[test]")
    session.run("pytest", "--nbmake", "--nbmake-timeout=600", "notebooks", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Speed beside the peers, who have an environment of their own; results go to benchmarks/results."""
    session.install(".")
    peers = Path(session.cache_dir).resolve() / "peers"
    session.run("python", "-m", "benchmarks.peers", str(peers))
    python = str(peers / "bin" / "python")
    for comparison in ("vae_step", "diffusion_speed", "flow_speed", "flow_tables"):
        session.run("python", "-m", f"benchmarks.{comparison}", "--peers-python", python, *session.posargs)
    session.run("python", "-m", "benchmarks.compile_time")


@nox.session
def wheel(session: nox.Session) -> None:
    """Build the wheel, install it alone into a bare environment, and run the quick start there."""
    folder = Path(session.create_tmp()).resolve()
    shutil.rmtree(folder / "dist", ignore_errors=True)
    session.install("build")
    session.run("python", "-m", "build", "--wheel", "--outdir", str(folder / "dist"))
    session.run("python", "-m", "venv", "--clear", str(folder / "bare"))
    (built,) = (folder / "dist").glob("*.whl")
    scripts = folder / "bare" / "bin"
    session.run(str(scripts / "python"), "-m", "pip", "install", "--quiet", str(built), external=True)
    with session.chdir(folder):
        session.run(str(scripts / "artifex"), "train", "vae_digits", *session.posargs, external=True)
