"""Hand-written JAX: the step under `jax.jit` called from a Python loop, or the epoch as one `lax.scan`.

python -m benchmarks.vae.jax_loop FOLDER jit|scan
"""

import sys
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import optax

from benchmarks.vae.problem import MIN_SCALE, Given, Problem, load_problem, narrow
from benchmarks.worker import Blocks, serve


def make_loss(problem: Problem) -> Any:
    """`loss(weights, x, key) -> (total, kl)`."""

    def linear(weights: Any, name: str, inputs: jax.Array) -> jax.Array:
        return inputs @ weights[f"{name}.weight"] + weights[f"{name}.bias"]

    def loss(weights: Any, x: jax.Array, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        h = x
        for name in problem.encoder_layers:
            h = jax.nn.relu(linear(weights, name, h))
        loc = linear(weights, "loc", h)
        scale = jax.nn.softplus(linear(weights, "raw_scale", h)) + MIN_SCALE
        z = loc + scale * jax.random.normal(key, loc.shape)
        for name in problem.decoder_layers:
            z = jax.nn.relu(linear(weights, name, z))
        logits = linear(weights, "logits", z)
        kl = 0.5 * jnp.sum(scale**2 + loc**2 - 1.0 - 2.0 * jnp.log(scale), axis=1)
        nll = jnp.sum(jax.nn.softplus(logits) - x * logits, axis=1)
        return jnp.mean(nll + kl), jnp.mean(kl)

    return loss


def describe(given: Given) -> dict[str, Any]:
    """Versions and the values to check."""
    loss = jax.jit(make_loss(given.problem))
    key = jax.random.key(0)
    total, _ = loss(narrow(given.weights), given.batch, key)
    _, kl = loss(given.weights, given.batch, key)
    return {
        "versions": {"jax": jax.__version__, "optax": optax.__version__},
        "device": jax.devices()[0].device_kind,
        "narrow_loss": float(total),
        "kl": float(kl),
    }


def train(given: Given, blocks: Blocks, form: str) -> dict[str, Any]:
    """Epochs over data on the device, in a new order each."""
    problem = given.problem
    loss = make_loss(problem)
    optimizer = optax.adam(problem.learning_rate)
    weights = jax.tree.map(jnp.asarray, given.weights)
    state = (weights, optimizer.init(weights), jnp.zeros((), jnp.int32))
    data = jnp.asarray(given.data)
    key = jax.random.key(1)

    def step(state: Any, data: jax.Array, indices: jax.Array, key: jax.Array) -> Any:
        weights, opt_state, count = state
        step_key = jax.random.fold_in(key, count)
        (value, _), gradient = jax.value_and_grad(loss, has_aux=True)(weights, data[indices], step_key)
        updates, opt_state = optimizer.update(gradient, opt_state, weights)
        return (optax.apply_updates(weights, updates), opt_state, count + 1), value

    def epoch(state: Any, data: jax.Array, indices: jax.Array, key: jax.Array) -> Any:
        return jax.lax.scan(lambda state, batch: step(state, data, batch, key), state, indices)

    compiled = jax.jit(step if form == "jit" else epoch, donate_argnums=0)
    order_key = jax.random.key(2)
    number = 0
    values: Any = None
    for _ in blocks:
        for _ in range(problem.epochs_per_block):
            order = jax.random.permutation(jax.random.fold_in(order_key, number), problem.num_examples)
            indices = order[: problem.steps_per_epoch * problem.batch_size].reshape(-1, problem.batch_size)
            number += 1
            if form == "scan":
                state, values = compiled(state, data, indices, key)
            else:
                values = []
                for batch in jax.device_get(indices):
                    state, value = compiled(state, data, batch, key)
                    values.append(value)
        jax.block_until_ready((state, values))
    return {"final_loss": float(jnp.mean(jnp.stack(list(values))))}


if __name__ == "__main__":
    folder, form = sys.argv[1:]
    given = load_problem(Path(folder))
    serve(lambda: describe(given), lambda blocks: train(given, blocks, form))
