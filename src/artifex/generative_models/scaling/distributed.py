"""Start-up of a run with several processes: JAX's multi-controller runtime.

Every process runs the same program. After `initialize_distributed()`, `jax.devices()` lists the devices of all of
them, and a mesh over these is used just as on one machine. Each process gives its own part of a batch
(`jax.make_array_from_process_local_data`).

    srun python train.py                    SLURM, Open MPI, Kubernetes and Cloud TPU are recognised
    initialize_distributed()

    initialize_distributed("10.0.0.1:1234", num_processes=4, process_id=rank)      anywhere else
"""

import jax


def initialize_distributed(
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
    *,
    timeout_seconds: int = 300,
) -> None:
    """Join the other processes of a run. Call it before anything touches a device; a second call does nothing.

    Args:
        coordinator: `"host:port"` of process 0, the same in every process. None, like the next two: what the
            cluster's environment says.
        num_processes: how many processes there are.
        process_id: which one this is, from 0.
        timeout_seconds: how long to wait for the others.

    Raises:
        ValueError: only some of the three are given, they make no sense, no cluster is recognised, or the run has
            been joined with others before.
        RuntimeError: a device has been touched already, or the others do not come.
    """
    given = (coordinator, num_processes, process_id)
    if None in given and any(value is not None for value in given):
        raise ValueError(
            "`coordinator`, `num_processes` and `process_id` go together; got "
            f"{coordinator!r}, {num_processes} and {process_id}. Give all three, or none on a cluster that JAX knows."
        )
    if num_processes is not None and process_id is not None and not 0 <= process_id < num_processes:
        raise ValueError(f"`process_id` must lie in [0, {num_processes}); got {process_id}")
    if coordinator is not None and not coordinator.rpartition(":")[2].isdigit():
        raise ValueError(
            f"`coordinator` must be 'host:port', for example '10.0.0.1:1234'; got {coordinator!r}"
        )
    if jax.distributed.is_initialized():
        here = (jax.process_count(), jax.process_index())
        if process_id is not None and here != (num_processes, process_id):
            raise ValueError(
                f"this is process {here[1]} of {here[0]} already; got process {process_id} of {num_processes}. "
                "A process joins one run only: start another one."
            )
        return
    try:
        jax.distributed.initialize(
            coordinator, num_processes, process_id, initialization_timeout=timeout_seconds
        )
    except ValueError as error:
        if coordinator is not None:
            raise
        raise ValueError(
            f"no cluster is recognised ({error}). Start with srun, mpirun or Kubernetes, or give `coordinator`, "
            "`num_processes` and `process_id`."
        ) from error
