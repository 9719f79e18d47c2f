"""FlowJAX's side of the comparison on tables: its coupling flow, with the step of its `fit_to_data`."""

import importlib.metadata
import time

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import paramax
from flowjax.train.losses import MaximumLikelihoodLoss
from flowjax.train.train_utils import step as train_step

from benchmarks.flow.flowjax_loop import describe, make_flow
from benchmarks.flow.problem import Problem
from benchmarks.flow.tables_problem import Best, arguments, epoch_order, write


def main() -> None:
    """Train and write."""
    folder, settings, rows = arguments()
    problem = Problem(
        size=rows["train"].shape[1],
        num_layers=settings.num_layers,
        hidden_size=settings.hidden_size,
        num_hidden_layers=settings.num_hidden_layers,
        num_bins=settings.num_bins,
        bound=settings.bound,
        batch_size=settings.batch_size,
        learning_rate=settings.learning_rate,
    )
    flow = make_flow(problem, "coupling")
    train, validation, test = (jnp.asarray(rows[name]) for name in ("train", "validation", "test"))
    optimizer, loss = optax.adam(settings.learning_rate), MaximumLikelihoodLoss()
    params, static = eqx.partition(
        flow, eqx.is_inexact_array, is_leaf=lambda leaf: isinstance(leaf, paramax.NonTrainable)
    )
    state = optimizer.init(params)
    log_prob = eqx.filter_jit(lambda params, x: paramax.unwrap(eqx.combine(params, static)).log_prob(x))
    num_batches = len(train) // settings.batch_size
    begin, epoch, best, steps, first_step = time.monotonic(), 0, None, 0, 0
    while best is None or not best.is_over:
        shuffled = train[epoch_order(len(train), epoch)]
        for index in range(num_batches):
            batch = shuffled[index * settings.batch_size : (index + 1) * settings.batch_size]
            params, state, _ = train_step(
                params,
                static,
                batch,
                optimizer=optimizer,
                opt_state=state,
                loss_fn=loss,
                key=jax.random.key(0),
            )
        steps += num_batches
        epoch += 1
        value = float(jnp.mean(log_prob(params, validation)))
        if best is None:
            best, first_step = Best(settings.seconds), steps
        best.see(value, params, steps)
    assert best is not None
    write(
        folder,
        "flowjax",
        np.asarray(log_prob(best.parameters, test)),
        {
            **describe(flow),
            "versions": {name: importlib.metadata.version(name) for name in ("flowjax", "equinox", "jax")},
            "validation_log_likelihood": best.value,
            "best_step": best.step,
            "steps": steps,
            "seconds": round(best.seconds, 2),
            "seconds_before_the_clock": round(time.monotonic() - begin - best.seconds, 2),
            "milliseconds_per_step": 1e3 * best.seconds / (steps - first_step),
        },
    )


if __name__ == "__main__":
    main()
