"""Two real processes on loopback, and the errors of a start-up that cannot work."""

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import safetensors.numpy

from artifex.generative_models.core.paths import named_leaves
from artifex.generative_models.scaling import initialize_distributed
from artifex.generative_models.training.checkpointing import CheckpointStore

SCRIPT = Path(__file__).parent / "two_processes.py"


def load_script():
    spec = importlib.util.spec_from_file_location("two_processes", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def test_two_processes_train_as_one_and_their_checkpoint_restores_on_one(tmp_path):
    cluster = ("SLURM_", "OMPI_", "KUBERNETES_", "JAX_COORDINATOR")
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(cluster)},
        "JAX_PLATFORMS": "cpu",
        "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        "JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
    }
    coordinator = f"127.0.0.1:{free_port()}"
    processes = [
        subprocess.Popen(
            [sys.executable, str(SCRIPT), coordinator, str(i), str(tmp_path)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in range(2)
    ]
    try:
        outputs = [process.communicate(timeout=300)[0] for process in processes]
    finally:
        for process in processes:
            process.kill()
    for i, (process, output) in enumerate(zip(processes, outputs, strict=True)):
        assert process.returncode == 0, output
        assert f"process {i} done" in output

    script = load_script()
    parameters, batch = script.parameters_and_batch()
    compiled = jax.jit(script.step)
    for _ in range(3):
        parameters, value = compiled(parameters, batch)
    like = {"parameters": parameters, "key": jax.random.key(0)}
    store = CheckpointStore(tmp_path / "checkpoints")
    assert store.steps() == (3,)
    restored, extra, _ = store.restore(like)
    assert extra["loss"] == pytest.approx(float(value), rel=1e-5)
    assert jax.random.key_data(restored["key"]).tolist() == jax.random.key_data(jax.random.key(7)).tolist()
    model = safetensors.numpy.load_file(tmp_path / "model.safetensors")
    for name, leaf in named_leaves(parameters).items():
        got = named_leaves(restored["parameters"])[name]
        np.testing.assert_allclose(got, leaf, rtol=1e-4, atol=1e-6, err_msg=name)
        np.testing.assert_array_equal(model[f"parameters.{name}"], got, err_msg=name)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("127.0.0.1:1234",), "go together; got '127.0.0.1:1234', None and None"),
        (("127.0.0.1:1234", 2, 2), r"`process_id` must lie in \[0, 2\); got 2"),
        (("127.0.0.1", 2, 0), "must be 'host:port'"),
    ],
)
def test_arguments_that_cannot_work_are_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        initialize_distributed(*arguments)
