"""Make the environment that the peers run in: `python -m benchmarks.peers FOLDER`.

It is apart from the environment of the project: no peer is a dependency of artifex. A peer that requires more
than its measured code needs (avitai-artifex: about 270 packages) comes without its requirements; what its
models and loops import is listed here. So does diffusers, whose networks and schedulers the fixtures come from.
"""

import argparse
import subprocess
import sys
import venv
from pathlib import Path

# Each entry is one call of pip. PyTorch is first, so that nothing later brings another build of it.
STEPS: tuple[tuple[str, ...], ...] = (
    ("torch==2.13.0",),
    (
        "jax==0.10.2",
        "equinox>=0.13.8",
        "flax",
        "distrax",
        "optax",
        "blackjax",
        "orbax-checkpoint",
        "grain",
        "portpicker",
        "dacite",
        "pydantic",
        "jaxtyping",
        "pyyaml",
        "typer",
        "tqdm",
        "scikit-learn",
        "psutil",
        "tomli-w",
    ),
    ("--no-deps", "avitai-artifex", "calibrax", "datarax"),
    ("huggingface-hub", "importlib-metadata", "filelock", "regex", "requests", "safetensors", "pillow"),
    ("--no-deps", "diffusers"),
    ("flowjax==19.1.2",),
    ("--no-deps", "zuko"),
)


def create(folder: Path) -> Path:
    """Make the environment, or add to it what is missing; returns its Python."""
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    for step in STEPS:
        command = [str(python), "-m", "pip", "install", "--quiet", "--no-input", *step]
        print("pip install", *step, flush=True)
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return python


def main(arguments: list[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("folder", type=Path, help="where the environment goes")
    print(create(parser.parse_args(arguments).folder.resolve()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
