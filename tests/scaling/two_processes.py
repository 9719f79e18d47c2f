"""One of the two processes of test_distributed.py: two devices each, one mesh over all four."""

import sys
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from artifex.generative_models.core.configuration import MeshConfig, ModelConfig, config
from artifex.generative_models.factory import save_model
from artifex.generative_models.scaling import (
    batch_sharding,
    initialize_distributed,
    make_mesh,
    place,
    replicated,
    tree_shardings,
)
from artifex.generative_models.training.checkpointing import CheckpointStore


@config("regression_test")
class RegressionConfig(ModelConfig):
    """Something to save."""


class Regression(eqx.Module):
    """The parameters with a config."""

    config: RegressionConfig = eqx.field(static=True)
    parameters: eqx.nn.MLP


def parameters_and_batch():
    """The same in every process, and in the test that checks them."""
    rng = np.random.default_rng(0)
    model = eqx.filter_eval_shape(lambda key: eqx.nn.MLP(8, 8, 64, 2, key=key), jax.random.key(0))
    parameters = jax.tree.map(
        lambda leaf: rng.normal(0.0, 0.1, leaf.shape).astype(np.float32), eqx.filter(model, _is_struct)
    )
    batch = tuple(rng.normal(size=(8, 8)).astype(np.float32) for _ in range(2))
    return parameters, batch


def _is_struct(leaf):
    return isinstance(leaf, jax.ShapeDtypeStruct)


def step(parameters, batch):
    """Gradient descent on a regression."""
    x, y = batch

    def loss(parameters):
        *hidden, last = parameters.layers
        h = x
        for layer in hidden:
            h = jnp.tanh(h @ layer.weight.T + layer.bias[None])
        return jnp.mean((h @ last.weight.T + last.bias[None] - y) ** 2)

    value, gradient = jax.value_and_grad(loss)(parameters)
    return jax.tree.map(lambda p, g: p - 0.1 * g, parameters, gradient), value


def main(coordinator: str, process_id: int, folder: str) -> None:
    """Train three steps on the common mesh, save a checkpoint, read it back, save the model."""
    with pytest.raises(ValueError, match=r"no cluster is recognised.*mpirun or Kubernetes, or give"):
        initialize_distributed()
    initialize_distributed(coordinator, 2, process_id, timeout_seconds=120)
    initialize_distributed(coordinator, 2, process_id)  # a second call does nothing
    with pytest.raises(ValueError, match=r"is process \d of 2 already; got process \d of 2"):
        initialize_distributed(coordinator, 2, 1 - process_id)
    assert jax.process_count() == 2
    assert len(jax.devices()) == 4
    with pytest.raises(ValueError, match="holds all devices"):
        make_mesh(MeshConfig(data=2))
    mesh = make_mesh(MeshConfig(data=2, fsdp=2))
    parameters, batch = parameters_and_batch()
    shardings = tree_shardings(mesh, parameters)
    key = place(jax.random.key(7), replicated(mesh))
    parameters = place(parameters, shardings)
    mine = slice(4 * process_id, 4 * process_id + 4)
    batch = tuple(jax.make_array_from_process_local_data(batch_sharding(mesh), part[mine]) for part in batch)
    compiled = jax.jit(step, out_shardings=(shardings, replicated(mesh)))
    for _ in range(3):
        parameters, value = compiled(parameters, batch)

    store = CheckpointStore(Path(folder) / "checkpoints", keep=1)
    state = {"parameters": parameters, "key": key}
    store.save(2, state, {"loss": 0.0})
    store.save(3, state, {"loss": float(value)})
    restored, extra, saved_step = store.restore(state)
    assert (saved_step, extra) == (3, {"loss": float(value)})
    same = jax.jit(lambda a, b: jnp.all(jnp.array([jnp.all(x == y) for x, y in zip(a, b, strict=True)])))
    assert same(jax.tree.leaves(restored["parameters"]), jax.tree.leaves(parameters))
    save_model(Path(folder) / "model.safetensors", Regression(RegressionConfig(), parameters))
    print(f"process {process_id} done", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3])
