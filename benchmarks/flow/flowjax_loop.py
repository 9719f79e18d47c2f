"""FlowJAX: its coupling or masked autoregressive flow, with the step that its `fit_to_data` jits.

PEERS_PYTHON -m benchmarks.flow.flowjax_loop FORM TASK
"""

import importlib.metadata
import sys
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
import paramax
from flowjax.bijections import RationalQuadraticSpline
from flowjax.distributions import Normal
from flowjax.flows import coupling_flow, masked_autoregressive_flow
from flowjax.train.losses import MaximumLikelihoodLoss
from flowjax.train.train_utils import step
from jaxtyping import Array

from benchmarks.flow.problem import Problem, make_data
from benchmarks.worker import Blocks, serve


def make_flow(problem: Problem, form: str) -> Any:
    """The flow."""
    make = coupling_flow if form == "coupling" else masked_autoregressive_flow
    return make(
        jax.random.key(0),
        base_dist=Normal(jnp.zeros(problem.size)),
        transformer=RationalQuadraticSpline(knots=problem.num_bins - 1, interval=problem.bound),
        flow_layers=problem.num_layers,
        nn_width=problem.hidden_size,
        nn_depth=problem.num_hidden_layers,
    )


def describe(flow: Any) -> dict[str, Any]:
    """Versions and size."""
    arrays = jax.tree.leaves(eqx.filter(flow, eqx.is_inexact_array))
    names = ("flowjax", "equinox", "jax")
    return {
        "versions": {name: importlib.metadata.version(name) for name in names},
        "num_parameters": sum(array.size for array in arrays),
    }


def train(problem: Problem, flow: Any, blocks: Blocks) -> dict[str, Any]:
    """The step of `fit_to_data`, without its transfer of the loss to the host after each step."""
    x, optimizer = jnp.asarray(make_data(problem)), optax.adam(problem.learning_rate)
    params, static = eqx.partition(
        flow, eqx.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable)
    )
    state, value, loss, calls = optimizer.init(params), jnp.zeros(()), MaximumLikelihoodLoss(), 0
    for _ in blocks:
        for _ in range(problem.calls_per_block):
            start = problem.batch_size * (calls % problem.num_batches)
            calls += 1
            params, state, value = step(
                params,
                static,
                x[start : start + problem.batch_size],
                optimizer=optimizer,
                opt_state=state,
                loss_fn=loss,
                key=jax.random.key(0),
            )
        value.block_until_ready()
    return {"final_loss": float(value)}


def log_prob(problem: Problem, flow: Any, blocks: Blocks) -> dict[str, Any]:
    """The public method under `jit`."""
    evaluate = eqx.filter_jit(lambda flow, x: flow.log_prob(x))
    x, value = jnp.asarray(make_data(problem)[: problem.batch_size]), jnp.zeros(())
    for _ in blocks:
        for _ in range(problem.calls_per_block):
            value = evaluate(flow, x)
        value.block_until_ready()
    return {"mean": float(jnp.mean(value))}


def sample(problem: Problem, flow: Any, blocks: Blocks) -> dict[str, Any]:
    """The public method under `jit`."""

    @eqx.filter_jit
    def draw(flow: Any, key: Array) -> Array:
        return flow.sample(key, (problem.batch_size,))

    x = jnp.zeros(())
    for number, _ in enumerate(blocks):
        for call in range(problem.calls_per_block):
            x = draw(flow, jax.random.key(1000 * number + call))
        x.block_until_ready()
    return {"rms": float(jnp.sqrt(jnp.mean(x**2)))}


if __name__ == "__main__":
    form, task = sys.argv[1:]
    problem = Problem()
    flow = make_flow(problem, form)
    loop = {"train": train, "log_prob": log_prob, "sample": sample}[task]
    serve(lambda: describe(flow), lambda blocks: loop(problem, flow, blocks))
