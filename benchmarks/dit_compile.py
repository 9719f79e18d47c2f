"""Time to trace and compile a DiT's training step at 4 and at 24 blocks, each in a new process, in turn.

    python -m benchmarks.dit_compile [--rounds 3]

The blocks are scanned, so depth should cost nothing. Results go to `benchmarks/results/dit_compile.json`.
"""

import argparse
import importlib.metadata
import json
import subprocess
import sys
import time

from benchmarks.harness import ROOT, Spread, machine, write_result

DEPTHS = (4, 24)


def compile_once(num_layers: int) -> dict[str, float]:
    """Seconds to trace and to compile the step of a DiT-S/2 on latents of 4x32x32, a batch of 8."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import optax

    from artifex.generative_models.core.configuration import FlowMatchingConfig, dit_size
    from artifex.generative_models.core.trainable import partition_trainable
    from artifex.generative_models.factory import create_model

    network = dit_size("S", patch_size=2).replace(num_layers=num_layers)
    config = FlowMatchingConfig(event_shape=(4, 32, 32), network=network)
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

    opt_state = jax.eval_shape(optimizer.init, shapes)
    x = jax.ShapeDtypeStruct((8, 4, 32, 32), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    start = time.perf_counter()
    lowered = jax.jit(step).lower(shapes, opt_state, x, key)
    traced = time.perf_counter()
    lowered.compile()
    return {"trace": traced - start, "compile": time.perf_counter() - traced}


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dit_compile", description=__doc__.split("\n")[0]
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--depth", type=int, help="of one compilation in this process")
    options = parser.parse_args(arguments)
    if options.depth is not None:
        print(json.dumps(compile_once(options.depth)))
        return 0
    conditions = machine()
    seconds: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
    for _ in range(options.rounds):
        for depth in DEPTHS:
            command = [sys.executable, "-m", "benchmarks.dit_compile", "--depth", str(depth)]
            done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
            seconds[depth].append(sum(json.loads(done.stdout).values()))
    shallow, deep = (seconds[depth] for depth in DEPTHS)
    result = {
        "machine": conditions,
        "versions": {name: importlib.metadata.version(name) for name in ("artifex", "jax", "equinox")},
        "seconds": {f"{depth} blocks": Spread.of(values).to_mapping(2) for depth, values in seconds.items()},
        "ratio": Spread.of([b / a for a, b in zip(shallow, deep, strict=True)]).to_mapping(),
    }
    write_result("dit_compile", result)
    print(json.dumps({name: result[name] for name in ("seconds", "ratio")}, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
