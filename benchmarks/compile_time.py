"""Time to trace and compile a training step of a shallow and of a deep model, each in a new process, in turn.

    python -m benchmarks.compile_time [--model nsf] [--rounds 3]

Equal layers are scanned, so depth should cost nothing. Results go to `benchmarks/results/compile_MODEL.json`.
"""

import argparse
import dataclasses
import importlib.metadata
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

from benchmarks.harness import ROOT, Spread, machine, write_result


@dataclasses.dataclass(frozen=True)
class Case:
    """A model whose depth varies.

    Attributes:
        what: it, in words.
        depths: numbers of layers, the smaller first.
        kind: of the model's config.
        fields: its fields, from the number of layers.
    """

    what: str
    depths: tuple[int, int]
    kind: str
    fields: Callable[[int], dict[str, Any]]


CASES = {
    "dit": Case(
        "blocks of DiT-S/2 on latents of 4x32x32",
        (4, 24),
        "flow_matching",
        lambda n: {"event_shape": (4, 32, 32), "network": _dit(n)},
    ),
    "nsf": Case(
        "spline couplings on vectors of 8", (4, 32), "nsf", lambda n: {"event_shape": (8,), "num_layers": n}
    ),
    "maf": Case(
        "masked autoregressive layers on vectors of 8",
        (4, 32),
        "maf",
        lambda n: {"event_shape": (8,), "num_layers": n},
    ),
    "glow": Case(
        "steps of each of 2 levels of Glow on images of 1x28x28",
        (4, 32),
        "glow",
        lambda n: {"event_shape": (1, 28, 28), "num_levels": 2, "num_steps": n},
    ),
    "tarflow": Case(
        "layers of TarFlow on images of 1x28x28",
        (4, 32),
        "tarflow",
        lambda n: {"event_shape": (1, 28, 28), "num_layers": n},
    ),
}


def _dit(num_layers: int) -> Any:
    from artifex.generative_models.core.configuration import dit_size

    return dit_size("S", patch_size=2).replace(num_layers=num_layers)


def compile_once(case: Case, depth: int) -> dict[str, float]:
    """Seconds to trace and to compile the step on a batch of 8."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    from artifex.generative_models.core.configuration import ModelConfig, from_mapping
    from artifex.generative_models.core.trainable import partition_trainable
    from artifex.generative_models.factory import create_model

    config = from_mapping(ModelConfig, {"kind": case.kind, **case.fields(depth)})
    # Shapes are enough to compile.
    model = eqx.filter_eval_shape(lambda key: create_model(config, key=key), jax.random.key(0))
    is_shape = lambda leaf: isinstance(leaf, jax.ShapeDtypeStruct)  # noqa: E731
    shapes, rest = eqx.partition(model, is_shape)
    optimizer = optax.adam(1e-4)

    def step(arrays: object, opt_state: object, x: jax.Array, key: jax.Array) -> object:
        trainable, buffers = partition_trainable(eqx.combine(arrays, rest))

        def loss(trainable: object) -> jax.Array:
            return eqx.combine(trainable, buffers).loss(x, key=key).total

        gradient = jax.grad(loss)(trainable)
        updates, opt_state = optimizer.update(gradient, opt_state, trainable)
        return eqx.apply_updates(trainable, updates), opt_state

    trainable = eqx.filter_eval_shape(lambda model: partition_trainable(model)[0], model)
    opt_state = jax.eval_shape(optimizer.init, trainable)
    x = jax.ShapeDtypeStruct((8, *config.event_shape), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    start = time.perf_counter()
    lowered = jax.jit(step).lower(shapes, opt_state, x, key)
    traced = time.perf_counter()
    lowered.compile()
    return {"trace": traced - start, "compile": time.perf_counter() - traced}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write."""
    program = "python -m benchmarks.compile_time"
    parser = argparse.ArgumentParser(prog=program, description=__doc__.split("\n")[0])
    parser.add_argument("--model", choices=CASES, action="append", help="default: all")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--depth", type=int, help="of one compilation in this process")
    options = parser.parse_args(arguments)
    names = options.model or list(CASES)
    if options.depth is not None:
        print(json.dumps(compile_once(CASES[names[0]], options.depth)))
        return 0
    for name in names:
        case, conditions = CASES[name], machine()
        seconds: dict[int, list[float]] = {depth: [] for depth in case.depths}
        for _ in range(options.rounds):
            for depth in case.depths:
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.compile_time",
                    "--model",
                    name,
                    "--depth",
                    str(depth),
                ]
                done = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
                seconds[depth].append(sum(json.loads(done.stdout).values()))
        shallow, deep = (seconds[depth] for depth in case.depths)
        result = {
            "benchmark": "compile_time",
            "command": f"{program} --model {name} --rounds {options.rounds}",
            "machine": conditions,
            "versions": {name: importlib.metadata.version(name) for name in ("artifex", "jax", "equinox")},
            "what": case.what,
            "seconds": {str(depth): Spread.of(values).to_mapping(2) for depth, values in seconds.items()},
            "ratio": Spread.of([b / a for a, b in zip(shallow, deep, strict=True)]).to_mapping(),
        }
        write_result(f"compile_{name}", result)
        print(json.dumps({name: result[name] for name in ("what", "seconds", "ratio")}, indent=2), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
